"""Use cases, one module a noun: what a request does in one transaction, and in which order."""
