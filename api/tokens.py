"""Access tokens: short-lived, one algorithm, every claim required."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
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
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub", "role", "org", "ver")


class UserRole(StrEnum):
    STUDENT = "student"
    ADVISOR = "advisor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling. `organization_id` is None for a platform admin; `version` moves when tokens are revoked."""

    user_id: UUID
    role: UserRole
    organization_id: UUID | None
    version: int


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Tokens:
    """Issues and reads tokens of one key. `secret` has at least 32 bytes."""

    def __init__(self, secret: SecretStr, lifetime: timedelta, clock: Callable[[], datetime] = _utc_now) -> None:
        self._secret = secret
        self._clock = clock
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
        return jwt.encode(claims, self._secret.get_secret_value(), ALGORITHM)

    def read(self, token: str) -> Principal:
        """The token's principal.

        Raises:
            Unauthenticated: it is not one of ours, has expired, lacks a claim or claims to live too long.
        """
        try:
            claims = jwt.decode(
                token[:MAX_TOKEN_CHARS],  # a longer one is none of ours; cut, its signature does not hold
                self._secret.get_secret_value(),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": list(_REQUIRED), "strict_aud": True},
            )
            self._check_lifetime(claims["iat"], claims["exp"])
            organization = claims["org"]
            return Principal(
                user_id=UUID(claims["sub"]),
                role=UserRole(claims["role"]),
                organization_id=None if organization == PLATFORM else UUID(organization),
                version=int(claims["ver"]),
            )
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
            raise Unauthenticated("A valid bearer token is required") from None

    def _check_lifetime(self, issued: object, expires: object) -> None:
        if type(issued) is not int or type(expires) is not int or expires - issued > self.lifetime.total_seconds():
            raise ValueError("exp")
