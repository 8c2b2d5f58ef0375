"""Implementations of ports with models and vendors' libraries. No other package imports these libraries."""
