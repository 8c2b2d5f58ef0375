"""Settings of the API, read once at startup."""

import json
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr, StringConstraints, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.security.external_issuers import ExternalIssuer
from api.security.tokens import keys_of
from persistence.encryption import is_placeholder

MIN_SECRET_BYTES: Final = 32
DEVELOPMENT_SECRET: Final = "microcred-development-secret-never-for-production"  # noqa: S105  # refused outside development


def _from_json(value: object) -> object:
    """Parse JSON here, so that invalid JSON is reported like any other invalid setting."""
    return json.loads(value) if isinstance(value, str) else value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


class ApiSettings(BaseSettings):
    """Environment variables, named as the fields in upper case. Startup fails on a weak or published secret."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    microcred_env: Literal["development", "staging", "production"] = "production"
    jwt_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """Comma-separated keys. Put a new key first. Remove the old key after its tokens have expired."""
    token_minutes: int = Field(default=15, ge=1, le=24 * 60)
    refresh_days: int = Field(default=30, ge=1, le=365)
    """Days from login to the end of the session. Refreshing tokens does not extend it."""
    oidc_issuers: Annotated[tuple[ExternalIssuer, ...], NoDecode, BeforeValidator(_from_json)] = ()
    """A JSON list of `ExternalIssuer`."""
    assessment_hours: int = Field(default=72, ge=1, le=24 * 365)
    essay_budget_cents_per_day: Annotated[Decimal | None, BeforeValidator(_none_if_empty)] = Field(default=None, gt=0)
    """Only for the pages of admins: the workers enforce it."""
    weaviate_url: str | None = None
    """Only for readiness: it shows which vector store the workers search first."""
    temporal_ui_url: Annotated[
        str, StringConstraints(pattern=r"^(https?://[^\s?#]+)?$"), AfterValidator(lambda url: url.rstrip("/"))
    ] = ""
    """The pages of advisors and admins link to runs in this Web UI. Empty: no links."""
    temporal_namespace: str = "default"
    """Only for these links: the client reads its namespace itself."""
    public_url: Annotated[HttpUrl | None, BeforeValidator(_none_if_empty)] = None
    """The address of the pages for links in mails and for sign-in at an OIDC provider, without a path."""
    smtp_url: Annotated[SecretStr | None, BeforeValidator(_none_if_empty)] = None
    """Only to offer mails: the worker of `webhooks` sends them."""
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=1, le=65535)

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        keys = keys_of(self.jwt_secret)
        if min(len(key.encode()) for key in keys) < MIN_SECRET_BYTES:
            raise ValueError(f"JWT_SECRET must have at least {MIN_SECRET_BYTES} bytes in each of its keys")
        if self.microcred_env == "development":
            return self
        if DEVELOPMENT_SECRET in keys:
            raise ValueError("JWT_SECRET must be set: the development secret is public")
        if any(map(is_placeholder, keys)):
            raise ValueError("JWT_SECRET must be random: one of its keys is a placeholder")
        return self

    @property
    def may_mail(self) -> bool:
        """Whether links can be mailed."""
        return self.smtp_url is not None

    @model_validator(mode="after")
    def _check_public_url(self) -> Self:
        if self.public_url is None and self.may_mail:
            raise ValueError("PUBLIC_URL must be set with SMTP_URL: mails need an address that no request can choose")
        if self.public_url is not None and (self.public_url.path not in (None, "/") or self.public_url.query):
            raise ValueError("PUBLIC_URL must have no path and no query")
        return self

    @model_validator(mode="after")
    def _check_issuers(self) -> Self:
        if len({issuer.issuer for issuer in self.oidc_issuers}) < len(self.oidc_issuers):
            raise ValueError("OIDC_ISSUERS must not list an issuer twice")
        if self.microcred_env != "development" and not all(issuer.is_secure for issuer in self.oidc_issuers):
            raise ValueError("OIDC_ISSUERS must have https URLs outside development")
        return self
