"""Issue and verify access tokens: short-lived JWTs with one algorithm, required claims and rotating keys."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
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
LEEWAY_S: Final = 30
"""Allowed clock difference between machines: `iat` and `nbf` may be this far in the future."""
MAX_KNOWN: Final = 4096
"""Size of the cache of verified tokens, which takes a few megabytes."""
_MAX_SECONDS: Final = 2**53
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub", "role", "org", "ver")


class UserRole(StrEnum):
    STUDENT = "student"
    ADVISOR = "advisor"
    ADMIN = "admin"
    API_KEY = "api_key"
    """A program of an organization. The scopes of its API key limit what it may use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The authenticated user or API key. A platform admin has no `organization_id`.

    `version` changes when the user's tokens are revoked. For an API key, `user_id` is the id of the key and `scopes`
    limits the routes that it may use. `must_change_password` comes from the database, never from a token.
    """

    user_id: UUID
    role: UserRole
    organization_id: UUID | None
    version: int
    scopes: frozenset[str] = frozenset()
    must_change_password: bool = field(default=False, compare=False)


def invalid_token() -> Unauthenticated:
    """Return the error for an invalid token. It is the same for every cause, so that it reveals nothing."""
    return Unauthenticated("A valid bearer token is required")


def keys_of(secret: SecretStr) -> list[str]:
    """Split a setting into its comma-separated keys. The first key signs, all keys verify."""
    return [key.strip() for key in secret.get_secret_value().split(",")]


def key_id(key: str) -> str:
    """Return the `kid` header of tokens that this key signs."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Tokens:
    """Issue and verify this service's tokens. `secret` holds keys of at least 32 bytes each, as in `keys_of`.

    To rotate, put the new key first. Remove the old key after the tokens that it signed have expired.
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
        """Return the token's principal.

        Raises:
            Unauthenticated: the token is not ours, has expired, lacks a claim, or has too long a lifetime.
        """
        principal, expires = self._known(token[:MAX_TOKEN_CHARS])  # a longer token is cut, so its signature is invalid
        if expires <= time.time():
            raise invalid_token()
        return principal

    def _verify(self, token: str) -> tuple[Principal, int]:
        """Verify everything but expiry, so that the result can be cached. Return the principal and `exp`.

        Raises as `read` does.
        """
        try:
            claims = jwt.decode(
                token,
                self._keys[jwt.get_unverified_header(token)["kid"]],
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY_S,  # for `iat` and `nbf` only: `read` compares `exp` without it
                options={"require": list(_REQUIRED), "strict_aud": True},
            )
            if type(claims["iat"]) is not int or type(claims["exp"]) is not int:
                raise invalid_token()
            check_lifetime(claims, self.lifetime)
            organization = claims["org"]
            principal = Principal(
                user_id=canonical_id(claims["sub"]),
                role=UserRole(claims["role"]),
                organization_id=None if organization == PLATFORM else canonical_id(organization),
                version=claims["ver"],
            )
            if type(principal.version) is not int:
                raise invalid_token()
            return principal, claims["exp"]
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
            raise invalid_token() from None


def canonical_id(claim: str) -> UUID:
    """Parse a UUID; raise ValueError for any form but the canonical one, such as upper case or braces."""
    found = UUID(claim)
    if str(found) != claim:
        raise ValueError(claim)
    return found


def check_lifetime(claims: dict[str, object], most: timedelta) -> None:
    """Raise ValueError unless `exp` and `iat` are numbers and at most `most` apart."""
    if _seconds(claims["exp"]) - _seconds(claims["iat"]) > most.total_seconds():
        raise ValueError("exp")


def _seconds(claim: object) -> float:
    """Return the claim as seconds; raise ValueError for a boolean, another type, or a number that is out of range."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not abs(claim) <= _MAX_SECONDS:
        raise ValueError("seconds")
    return claim
