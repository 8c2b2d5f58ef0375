"""Reads for the API: one statement each, returning plain values."""
