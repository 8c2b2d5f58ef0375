"""The HTTP border: authentication, access, strict input, and wire types around the application."""
