"""Alembic's environment; revisions stand in `versions`."""
