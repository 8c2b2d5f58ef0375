"""Tokens of other issuers: whom they vouch for. Role and organization always come from our own database.

The token's `iss` chooses the issuer among those of the settings, its `kid` one of that issuer's published keys; `jku`,
`jwk` and `x5u` in a header are never looked at. Without an answer that settles it, a token is refused: 401 when the
issuer's keys are known and this is none of them, 503 when the issuer could not be asked.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, Self
from uuid import UUID

import jwt
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from api.security.issuer_keys import ALGORITHMS, Fetch, IssuerKeys
from api.security.principals import Subject
from api.security.tokens import ISSUER, LEEWAY_S, Principal, canonical_id, check_lifetime, refused
from domain.email_addresses import normalize_email

LONGEST: Final = timedelta(hours=24)
MAX_TOKEN_CHARS: Final = 16 * 1024
"""Tokens with many groups are long; all headers of a request together have at most 32 KiB."""
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub")


class ExternalIssuer(BaseModel):
    """An entry of OIDC_ISSUERS.

    `organization` is whose people the issuer may vouch for; "any" includes the platform's admins. `subject` tells how
    it names them: `sub` holds our user id, or `email` an address that it has verified.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: HttpUrl
    organization: UUID | Literal["any"]
    subject: Literal["sub", "email"] = "sub"

    @property
    def is_secure(self) -> bool:
        return self.jwks_url.scheme == "https"

    @model_validator(mode="after")
    def _is_not_us(self) -> Self:
        if self.issuer == ISSUER:
            raise ValueError("issuer is our own name")
        return self


class ExternalIssuers:
    """The issuers of the settings. `fetch` gets the keys at a JWKS address, `find` the active person of a subject."""

    def __init__(
        self,
        issuers: Iterable[ExternalIssuer],
        fetch: Fetch,
        find: Callable[[Subject], Awaitable[Principal]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuers = {
            each.issuer: (each, IssuerKeys(each.issuer, partial(fetch, str(each.jwks_url)), clock)) for each in issuers
        }
        self._find = find

    async def principal(self, token: str) -> Principal | None:
        """Whom the token's issuer vouches for; None when it names none of these issuers.

        Raises:
            Unauthenticated: it names one and does not count, or names nobody whom that issuer may vouch for.
            TemporarilyUnavailable: the issuer could not be asked for the key.
        """
        if not self._issuers or len(token) > MAX_TOKEN_CHARS:
            return None
        found = self._issuers.get(_claimed_issuer(token))
        if found is None:
            return None
        issuer, keys = found
        try:
            subject = _subject(issuer, _verified(token, await keys.find(_key_id(token)), issuer))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise refused() from None
        principal = await self._find(subject)
        if issuer.organization not in ("any", principal.organization_id):
            raise refused()
        return principal


def _verified(token: str, key: jwt.PyJWK, issuer: ExternalIssuer) -> dict[str, Any]:
    """The token's claims; raises PyJWTError or ValueError unless all about it holds."""
    claims = jwt.decode(
        token,
        key,
        algorithms=ALGORITHMS,
        audience=issuer.audience,
        issuer=issuer.issuer,
        leeway=LEEWAY_S,
        options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
    )
    check_lifetime(claims, LONGEST)
    return claims


def _claimed_issuer(token: str) -> str:
    """Who the token says that it is from, before anything about it is verified; empty when it says nothing."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return ""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


def _key_id(token: str) -> str:
    """Raises ValueError unless the header names a key and an algorithm of ours: nobody is asked for another."""
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS or not isinstance(kid := header.get("kid"), str):
        raise ValueError("header")
    return kid


def _subject(issuer: ExternalIssuer, claims: Mapping[str, Any]) -> Subject:
    """Raises ValueError for what names nobody."""
    if issuer.subject == "sub":
        return canonical_id(claims["sub"])
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        raise ValueError("email")
    return normalize_email(email)
