"""Reads and writes inside a transaction, one module per aggregate."""
