"""Access tokens: short-lived, one algorithm, every claim required, keys that can be replaced."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID, uuid4

import jwt
from pydantic import SecretStr

from domain.errors import Unauthenticated

ALGORITHM: Final = "HS256"
ISSUER: Final = "microcred"
AUDIENCE: Final = "microcred-api"
PLATFORM: Final = "platform"
MAX_TOKEN_CHARS: Final = 4096
MAX_KNOWN: Final = 4096
"""Tokens whose signature is not checked again; a few megabytes."""
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub", "role", "org", "ver")


class UserRole(StrEnum):
    STUDENT = "student"
    ADVISOR = "advisor"
    ADMIN = "admin"
    API_KEY = "api_key"
    """No person's role: a machine of the organization, which may use what the scopes of its key name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling. `organization_id` is None for a platform admin; `version` moves when tokens are revoked.

    For an API key, `user_id` is the id of the key, and `scopes` says what it may be used for.
    """

    user_id: UUID
    role: UserRole
    organization_id: UUID | None
    version: int
    scopes: frozenset[str] = frozenset()


def refused() -> Unauthenticated:
    """The one answer to every token that does not count, whatever is wrong with it."""
    return Unauthenticated("A valid bearer token is required")


def keys_of(secret: SecretStr) -> list[str]:
    """The keys of a setting, separated by commas: the first one signs, all verify."""
    return [key.strip() for key in secret.get_secret_value().split(",")]


def key_id(key: str) -> str:
    """What a token's header names its key by."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Tokens:
    """Issues and reads our own tokens. `secret` holds keys of at least 32 bytes each, as in `keys_of`.

    A new key goes first; the one before it may go once the tokens that it signed have run out.
    """

    def __init__(self, secret: SecretStr, lifetime: timedelta, clock: Callable[[], datetime] = _utc_now) -> None:
        self._keys = {key_id(key): key for key in keys_of(secret)}
        self._current, self._key = next(iter(self._keys.items()))
        self._clock = clock
        self._known = lru_cache(MAX_KNOWN)(self._verify)
        self.lifetime = lifetime

    def issue(self, principal: Principal) -> str:
        now = self._clock()
        claims = {
            "sub": str(principal.user_id),
            "role": principal.role,
            "org": str(principal.organization_id or PLATFORM),
            "ver": principal.version,
            "iat": int(now.timestamp()),
            "exp": int((now + self.lifetime).timestamp()),
            "iss": ISSUER,
            "aud": AUDIENCE,
            "jti": str(uuid4()),
        }
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._current})

    def read(self, token: str) -> Principal:
        """The token's principal.

        Raises:
            Unauthenticated: it is not one of ours, has expired, lacks a claim or claims to live too long.
        """
        principal, expires = self._known(token[:MAX_TOKEN_CHARS])  # cut, the signature of a longer one does not hold
        if expires <= time.time():
            raise refused()
        return principal

    def _verify(self, token: str) -> tuple[Principal, int]:
        """The principal and `exp`, which is all that can change about a token that holds. Raises as `read` does."""
        try:
            claims = jwt.decode(
                token,
                self._keys[jwt.get_unverified_header(token)["kid"]],
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": list(_REQUIRED), "strict_aud": True},
            )
            check_lifetime(claims, self.lifetime)
            organization = claims["org"]
            principal = Principal(
                user_id=canonical_id(claims["sub"]),
                role=UserRole(claims["role"]),
                organization_id=None if organization == PLATFORM else canonical_id(organization),
                version=claims["ver"],
            )
            if type(principal.version) is not int:
                raise refused()
            return principal, claims["exp"]
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
            raise refused() from None


def canonical_id(claim: str) -> UUID:
    """Raises ValueError for the other spellings of an id, such as upper case or braces."""
    found = UUID(claim)
    if str(found) != claim:
        raise ValueError(claim)
    return found


def check_lifetime(claims: dict[str, object], most: timedelta) -> None:
    """Raises ValueError unless `exp` and `iat` are whole seconds and at most so far apart."""
    issued, expires = claims["iat"], claims["exp"]
    if type(issued) is not int or type(expires) is not int or expires - issued > most.total_seconds():
        raise ValueError("exp")
