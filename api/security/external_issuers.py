"""Authenticate tokens of external OIDC issuers. The role and the organization come from our database.

The token's `iss` selects a configured issuer, and its `kid` selects one of the issuer's published keys. The headers
`jku`, `jwk` and `x5u` are ignored. A token with an unknown key gets 401. If the keys cannot be fetched, it gets 503.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, Self
from uuid import UUID

import jwt
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from api.security.issuer_keys import ALGORITHMS, Fetch, IssuerKeys, verified_claims
from api.security.principals import Subject
from api.security.tokens import ISSUER, Principal, canonical_id, check_lifetime, invalid_token
from domain.email_addresses import normalize_email

LONGEST: Final = timedelta(hours=24)
MAX_TOKEN_CHARS: Final = 16 * 1024
"""Tokens with many groups are long. All headers of a request together have at most 32 KiB."""
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub")


class ExternalIssuer(BaseModel):
    """An entry of OIDC_ISSUERS.

    `organization`: the issuer may authenticate the users of this organization; "any" includes platform admins.
    `subject`: the claim that identifies the user, either `sub` with our user id or `email` with a verified address.
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
            raise ValueError(f"issuer must not be {ISSUER}: this service issues tokens with that name")
        return self


class ExternalIssuers:
    """The configured issuers. `fetch` returns the keys at a JWKS URL, `find` the active user of a subject."""

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
        """Return the principal of the token, or None if the token is not from a configured issuer.

        Raises:
            Unauthenticated: the token is invalid, or the issuer may not authenticate its user.
            TemporarilyUnavailable: the issuer's keys cannot be fetched.
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
            raise invalid_token() from None
        principal = await self._find(subject)
        if issuer.organization not in ("any", principal.organization_id):
            raise invalid_token()
        return principal


def _verified(token: str, key: jwt.PyJWK, issuer: ExternalIssuer) -> dict[str, Any]:
    """Return the verified claims of the token; raise PyJWTError or ValueError if it is invalid."""
    claims = verified_claims(token, key, audience=issuer.audience, issuer=issuer.issuer, required=_REQUIRED)
    check_lifetime(claims, LONGEST)
    return claims


def _claimed_issuer(token: str) -> str:
    """Return the unverified `iss` claim of the token, or "" without such a claim."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return ""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


def _key_id(token: str) -> str:
    """Return the key id in the header; raise ValueError if it is missing or the algorithm is not allowed."""
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS or not isinstance(kid := header.get("kid"), str):
        raise ValueError("header")
    return kid


def _subject(issuer: ExternalIssuer, claims: Mapping[str, Any]) -> Subject:
    """Return the user id or the verified e-mail address; raise ValueError if the claims have neither."""
    if issuer.subject == "sub":
        return canonical_id(claims["sub"])
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        raise ValueError("email")
    return normalize_email(email)
