"""Sign in at an OIDC provider: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636)."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

import httpx
import jwt
import structlog
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.security.issuer_keys import (
    ALGORITHMS,
    REFRESH_S,
    IssuerKeys,
    Keys,
    fetch_document,
    fetch_keys,
    verified_claims,
)
from domain.email_addresses import normalize_email
from domain.errors import TemporarilyUnavailable, Unauthenticated

SCOPE: Final = "openid email profile"
METADATA: Final = "/.well-known/openid-configuration"
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub", "nonce")
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")

log = structlog.get_logger(__name__)


class OidcSettings(BaseSettings):
    """The variables `OIDC_…` of sign-in on the pages. It is off without OIDC_ISSUER.

    `organization` is the organization whose members sign in. `create_accounts`: a person without an account gets one as
    a student of it. OIDC_ISSUERS, for tokens over REST, is in `ApiSettings`.
    """

    model_config = SettingsConfigDict(
        env_prefix="OIDC_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    issuer: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")
    client_id: str | None = None
    client_secret: SecretStr | None = None
    organization: UUID | None = None
    create_accounts: bool = False
    microcred_env: Literal["development", "staging", "production"] = Field(
        default="production", validation_alias="microcred_env"
    )
    """MICROCRED_ENV, without this class's prefix."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.issuer is None:
            return self
        if self.client_id is None or self.organization is None:
            raise ValueError("OIDC_CLIENT_ID and OIDC_ORGANIZATION must be set with OIDC_ISSUER")
        if self.microcred_env != "development" and not self.issuer.startswith("https://"):
            raise ValueError("OIDC_ISSUER must be an https URL outside development")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """A login in progress. Everything is derived from a random token that only the browser's cookie holds."""

    token: str = field(repr=False)

    @property
    def state(self) -> str:
        return self._derived(b"state")

    @property
    def nonce(self) -> str:
        return self._derived(b"nonce")

    @property
    def verifier(self) -> str:
        return self._derived(b"verifier")

    @property
    def challenge(self) -> str:
        return _base64url(hashlib.sha256(self.verifier.encode()).digest())

    def _derived(self, purpose: bytes) -> str:
        return _base64url(hmac.digest(self.token.encode(), purpose, "sha256"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person as the provider knows them, with a verified e-mail address in its normal form."""

    email: str
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metadata:
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_secret_in_body: bool


class OidcProvider:
    """The configured provider.

    An operator has configured its address, so it may be a private one. Requests have a deadline and a size limit and
    follow no redirects. Outside development all of its addresses must be https.
    """

    def __init__(
        self, settings: OidcSettings, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if settings.issuer is None or settings.client_id is None or settings.organization is None:
            raise ValueError("OIDC_ISSUER is not set")
        self.organization_id = settings.organization
        self.creates_accounts = settings.create_accounts
        self._issuer = settings.issuer
        self._client_id = settings.client_id
        self._secret = settings.client_secret.get_secret_value() if settings.client_secret else None
        self._secure = settings.microcred_env != "development"
        self._http = http
        self._clock = clock
        self._metadata: _Metadata | None = None
        self._read_at = 0.0
        self._keys = IssuerKeys(self._issuer, self._fetch_keys, clock)

    async def begin(self, login: LoginAttempt, redirect_uri: str) -> str:
        """Return the provider's address to send the browser to.

        Raises:
            TemporarilyUnavailable: the provider's metadata cannot be read.
        """
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        endpoint = (await self._read_metadata()).authorization_endpoint
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def finish(self, login: LoginAttempt, answer: Mapping[str, str], redirect_uri: str) -> Identity:
        """Check the provider's answer, exchange its code for an ID token, and return the verified identity.

        Raises:
            Unauthenticated: the answer belongs to another login, the provider refused, or the ID token is invalid or
                has no verified e-mail address.
            TemporarilyUnavailable: the provider cannot be reached.
        """
        is_ours = hmac.compare_digest(login.state.encode(), answer.get("state", "").encode("utf-8", "replace"))
        if not is_ours or answer.get("iss", self._issuer) != self._issuer or not answer.get("code"):
            raise _refused("answer")
        id_token = await self._exchange(answer["code"], login, redirect_uri)
        try:
            key = await self._keys.find(_key_id(id_token))
            return _identity(self._verified(id_token, key, login))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _refused("id_token") from None

    async def _exchange(self, code: str, login: LoginAttempt, redirect_uri: str) -> str:
        metadata = await self._read_metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": login.verifier,
        }
        basic: tuple[str, str] | None = None
        if self._secret is not None and not metadata.takes_secret_in_body:
            basic = quote(self._client_id, safe=""), quote(self._secret, safe="")  # RFC 6749, 2.3.1
        else:
            form |= {"client_id": self._client_id} | ({"client_secret": self._secret} if self._secret else {})
        try:
            document = await fetch_document(self._http, metadata.token_endpoint, form=form, basic=basic)
        except httpx.HTTPStatusError as error:
            if error.response.is_client_error:  # the code is used, expired or of another client
                raise _refused("code") from None
            raise _unavailable(error) from None
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            raise _unavailable(error) from None
        id_token = document.get("id_token")
        if not isinstance(id_token, str):
            raise _refused("no_id_token")
        return id_token

    def _verified(self, id_token: str, key: jwt.PyJWK, login: LoginAttempt) -> dict[str, Any]:
        """Return the verified claims; raise PyJWTError or ValueError if the token is invalid."""
        claims = verified_claims(id_token, key, audience=self._client_id, issuer=self._issuer, required=_REQUIRED)
        others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (others or "azp" in claims) and claims.get("azp") != self._client_id:
            raise ValueError("azp")
        if not hmac.compare_digest(str(claims["nonce"]).encode("utf-8", "replace"), login.nonce.encode()):
            raise ValueError("nonce")
        return claims

    async def _read_metadata(self) -> _Metadata:
        """Return the provider's metadata, which are read again after ten minutes. Old ones serve during an outage."""
        if self._metadata is not None and self._clock() - self._read_at < REFRESH_S:
            return self._metadata
        try:
            document = await fetch_document(self._http, self._issuer.rstrip("/") + METADATA)
            self._metadata, self._read_at = self._checked(document), self._clock()
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            if self._metadata is None:
                raise _unavailable(error) from None
            log.warning("oidc_provider_unavailable", error_type=type(error).__qualname__)
        return self._metadata

    def _checked(self, document: Mapping[str, Any]) -> _Metadata:
        """Raise ValueError if the document is of another issuer, or its addresses may not be used."""
        found = {name: document.get(name) for name in _ENDPOINTS}
        schemes = {"https"} if self._secure else {"https", "http"}
        if document.get("issuer") != self._issuer:
            raise ValueError("issuer")
        if not all(isinstance(each, str) and urlsplit(each).scheme in schemes for each in found.values()):
            raise ValueError("endpoints")
        methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return _Metadata(
            authorization_endpoint=str(found["authorization_endpoint"]),
            token_endpoint=str(found["token_endpoint"]),
            jwks_uri=str(found["jwks_uri"]),
            takes_secret_in_body="client_secret_basic" not in methods,
        )

    async def _fetch_keys(self) -> Keys:
        return await fetch_keys(self._http, (await self._read_metadata()).jwks_uri)


def _key_id(id_token: str) -> str | None:
    """Return the key id in the header, which a provider with one key may omit; raise ValueError for any other type."""
    header = jwt.get_unverified_header(id_token)
    kid = header.get("kid")
    if header.get("alg") not in ALGORITHMS or not (kid is None or isinstance(kid, str)):
        raise ValueError("header")
    return kid


def _identity(claims: Mapping[str, Any]) -> Identity:
    """Return the person; raise ValueError without a verified e-mail address."""
    email, name = claims.get("email"), claims.get("name")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        raise ValueError("email")
    return Identity(email=normalize_email(email), name=name if isinstance(name, str) else None)


def _refused(reason: str) -> Unauthenticated:
    log.info("oidc_sign_in_refused", reason=reason)
    return Unauthenticated("The sign-in at the provider is not valid")


def _unavailable(error: Exception) -> TemporarilyUnavailable:
    log.warning("oidc_provider_unavailable", error_type=type(error).__qualname__)
    return TemporarilyUnavailable("The sign-in provider is unavailable. Try again after the seconds in Retry-After")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
