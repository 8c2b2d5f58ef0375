"""The API's settings, read once by the composition root."""

import json
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.security.external_issuers import ExternalIssuer
from api.security.tokens import keys_of
from persistence.encryption import is_placeholder

MIN_SECRET_BYTES: Final = 32
DEVELOPMENT_SECRET: Final = "microcred-development-secret-never-for-production"  # noqa: S105  # refused outside development


def _from_json(value: object) -> object:
    """Read here, because a setting that is no JSON must be refused like every other one."""
    return json.loads(value) if isinstance(value, str) else value


class ApiSettings(BaseSettings):
    """Environment variables by the fields' names in upper case; a weak or published secret stops the start."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    microcred_env: Literal["development", "staging", "production"] = "production"
    jwt_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """Keys separated by commas: a new one goes first; the one before it may go when its tokens have run out."""
    token_minutes: int = Field(default=15, ge=1, le=24 * 60)
    refresh_days: int = Field(default=30, ge=1, le=365)
    """From the login on: refreshing does not make it longer."""
    oidc_issuers: Annotated[tuple[ExternalIssuer, ...], NoDecode, BeforeValidator(_from_json)] = ()
    """A JSON list of `ExternalIssuer`."""
    assessment_hours: int = Field(default=72, ge=1, le=24 * 365)
    weaviate_url: str | None = None
    """Only to say which store workers search first."""
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

    @model_validator(mode="after")
    def _check_issuers(self) -> Self:
        if len({issuer.issuer for issuer in self.oidc_issuers}) < len(self.oidc_issuers):
            raise ValueError("OIDC_ISSUERS must name an issuer once")
        if self.microcred_env != "development" and not all(issuer.is_secure for issuer in self.oidc_issuers):
            raise ValueError("OIDC_ISSUERS must have https addresses")
        return self
