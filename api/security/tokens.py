"""Access tokens: short-lived, one algorithm, every claim required, keys that can be replaced."""

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
"""How far the clocks of two machines may be apart: a token may be issued, or begin, so much in the future."""
MAX_KNOWN: Final = 4096
"""Tokens whose signature is not checked again; a few megabytes."""
_MAX_SECONDS: Final = 2**53
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
    `must_change_password` comes from the database, never from a token.
    """

    user_id: UUID
    role: UserRole
    organization_id: UUID | None
    version: int
    scopes: frozenset[str] = frozenset()
    must_change_password: bool = field(default=False, compare=False)


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
                leeway=LEEWAY_S,  # of `iat` and `nbf`: `read` compares `exp` without it
                options={"require": list(_REQUIRED), "strict_aud": True},
            )
            if type(claims["iat"]) is not int or type(claims["exp"]) is not int:
                raise refused()
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
    """Raises ValueError unless `exp` and `iat` are times, with or without fractions, and at most so far apart."""
    if _seconds(claims["exp"]) - _seconds(claims["iat"]) > most.total_seconds():
        raise ValueError("exp")


def _seconds(claim: object) -> float:
    """Raises ValueError for what is not a number that a clock can show; a boolean is no number."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not abs(claim) <= _MAX_SECONDS:
        raise ValueError("seconds")
    return claim
