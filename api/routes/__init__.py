"""One module per subject; `api.app` puts them together."""
