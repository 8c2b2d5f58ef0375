"""Stores of vectors: the port `CredentialIndex` on each of them."""
