"""Orchestration: which steps run in which order, with which retries, and what people see of it."""
