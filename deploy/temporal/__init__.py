"""Temporal in production: settings, schema, and the rollout of a new build."""
