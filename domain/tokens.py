"""Random tokens: links, sessions, refresh tokens and API keys. Only their hashes are stored."""

import hashlib
import secrets
from typing import Final

TOKEN_BYTES: Final = 32


def new_token() -> str:
    """Return 256 random bits as 43 URL-safe characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    """Return the SHA-256 in hex. A token is random, so it needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
