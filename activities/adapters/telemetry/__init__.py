"""Metrics and traces of calls to other services."""
