"""The API's settings, read once by the composition root."""

from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_BYTES: Final = 32
DEVELOPMENT_SECRET: Final = "microcred-development-secret-never-for-production"  # noqa: S105  # refused outside development


class ApiSettings(BaseSettings):
    """Environment variables by the fields' names in upper case; a weak or published secret stops the start."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    microcred_env: Literal["development", "staging", "production"] = "production"
    jwt_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    token_minutes: int = Field(default=60, ge=1, le=24 * 60)
    assessment_hours: int = Field(default=72, ge=1, le=24 * 365)
    weaviate_url: str | None = None
    """Only to say which store workers search first."""
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=1, le=65535)

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        secret = self.jwt_secret.get_secret_value()
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"JWT_SECRET must have at least {MIN_SECRET_BYTES} bytes")
        if secret == DEVELOPMENT_SECRET and self.microcred_env != "development":
            raise ValueError("JWT_SECRET must be set: the development secret is public")
        return self
