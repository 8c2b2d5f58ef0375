"""The settings of Weaviate, apart from its client, so that a process without Weaviate does not import the client."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class WeaviateSettings(BaseSettings):
    """Read `WEAVIATE_URL`: http(s)://host[:port]; with https, gRPC uses TLS too.

    `grpc_host` defaults to the host of the URL. `deadline_s` is the timeout of a whole search, `write_timeout_s` that
    of each batch of a build.
    """

    model_config = SettingsConfigDict(
        env_prefix="WEAVIATE_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    url: str | None = None
    grpc_host: str | None = None
    grpc_port: int = Field(default=50051, ge=1, le=65535)
    api_key: SecretStr | None = None
    deadline_s: float = Field(default=1.0, gt=0, le=30)
    write_timeout_s: float = Field(default=60.0, gt=0)

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://unset")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be of the form https://host:port")
        return value
