"""Temporal in production: its settings, its schema, and the rollout of a new build."""
