"""Cache of an issuer's public keys: refreshed every ten minutes, and used for up to a day if the issuer is down."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

import httpx
import jwt
import structlog

from api.security.tokens import LEEWAY_S, invalid_token
from domain.errors import TemporarilyUnavailable

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
REFRESH_S: Final = 600.0
MAX_AGE_S: Final = 24 * 3600.0
"""Cached keys are used for this long during an outage of the issuer. Later requests get 503."""
MIN_INTERVAL_S: Final = 30.0
"""Minimum time between two requests to one issuer, for all keys together."""
TIMEOUT_S: Final = 3.0
MAX_BYTES: Final = 256 * 1024

Keys: TypeAlias = Mapping[str, jwt.PyJWK]
Fetch: TypeAlias = Callable[[str], Awaitable[Keys]]

log = structlog.get_logger(__name__)


class IssuerKeys:
    """The keys of one issuer. Concurrent callers share one request. Callers whose key is cached do not wait for it."""

    def __init__(
        self, issuer: str, fetch: Callable[[], Awaitable[Keys]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: Keys = {}
        self._fetched_at = self._requested_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> jwt.PyJWK:
        """Return the key with this id. None: the only key of the issuer.

        Raises:
            Unauthenticated: the issuer has no such key.
            TemporarilyUnavailable: the last request to the issuer failed.
        """
        key = self._known(kid)
        if (key is None or self._age() >= REFRESH_S) and self._clock() - self._requested_at >= MIN_INTERVAL_S:
            self._requested_at = self._clock()
            self._refreshing = asyncio.create_task(self._refresh())
        if key is None and self._refreshing is not None:
            await asyncio.shield(self._refreshing)
            key = self._known(kid)
        if key is not None:
            return key
        if self._fetched_at < self._requested_at:
            raise TemporarilyUnavailable(
                "The token issuer's keys are unavailable. Try again after the seconds in Retry-After"
            )
        raise invalid_token()

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _known(self, kid: str | None) -> jwt.PyJWK | None:
        if self._age() >= MAX_AGE_S:
            return None
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        try:
            self._keys = await self._fetch()
            self._fetched_at = self._clock()
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            log.warning("issuer_keys_unavailable", issuer=self._issuer, error_type=type(error).__qualname__)


async def fetch_document(
    client: httpx.AsyncClient,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    basic: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Fetch a JSON object within TIMEOUT_S: with POST if there is a form. Redirects are not followed.

    Raises:
        httpx.HTTPError, TimeoutError: the request failed.
        ValueError: the address is invalid, or the body is not a JSON object or is longer than MAX_BYTES.
    """
    body = bytearray()
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        request = client.build_request("GET" if form is None else "POST", url, headers=headers, data=form)
    except httpx.InvalidURL:
        raise ValueError("the address is invalid") from None
    async with asyncio.timeout(TIMEOUT_S):
        response = await client.send(request, stream=True, auth=basic)
        try:
            response.raise_for_status()
            async for part in response.aiter_raw():
                body += part
                if len(body) > MAX_BYTES:
                    raise ValueError("the document is too long")
        finally:
            await response.aclose()
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # the value is wrong, not a Python type
    return document


async def fetch_keys(client: httpx.AsyncClient, url: str) -> Keys:
    """Fetch the signature keys at a JWKS URL, by their ids. Keys with an algorithm outside ALGORITHMS are skipped.

    Raises as `fetch_document` does, also if the document is not a JWKS document.
    """
    document = await fetch_document(client, url)
    if not isinstance(document.get("keys"), list):
        raise ValueError("not a JWKS document")  # noqa: TRY004  # the value is wrong, not a Python type
    found = (_key(each) for each in document["keys"])
    return {key.key_id: key for key in found if key is not None and isinstance(key.key_id, str)}


def verified_claims(
    token: str, key: jwt.PyJWK, *, audience: str, issuer: str, required: Collection[str]
) -> dict[str, Any]:
    """Return the claims of a token after checking its signature, its times, `audience` and `issuer`.

    Raises:
        jwt.PyJWTError, ValueError: the token is invalid, or one of the `required` claims is missing.
    """
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=ALGORITHMS,
        audience=audience,
        issuer=issuer,
        leeway=LEEWAY_S,
        options={"require": list(required), "enforce_minimum_key_length": True},
    )
    return claims


def _key(jwk: Any) -> jwt.PyJWK | None:  # noqa: ANN401  # JSON is anything
    """Parse a JWK. Return None if it is invalid, not for signatures, or has an algorithm that is not allowed."""
    try:
        key = jwt.PyJWK(jwk)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return key if key.public_key_use in (None, "sig") and key.algorithm_name in ALGORITHMS else None
