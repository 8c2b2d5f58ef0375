"""Read queries of the API. Each is one statement and returns plain values."""
