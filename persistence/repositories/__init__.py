"""Repositories: reads and writes of a transaction, one module per aggregate."""
