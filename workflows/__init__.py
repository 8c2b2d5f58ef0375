"""Orchestration: the order of the steps, their retries, and what operators see in the Web UI."""
