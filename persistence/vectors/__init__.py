"""Vector stores: implementations of the port `CredentialIndex`."""
