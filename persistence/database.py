"""The connection to PostgreSQL: its settings and its pool."""

from typing import Annotated, Final

import pydantic_core
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# A machine that is gone refuses nothing: with the system's defaults a statement waits for its answer for two hours.
_UNTIL_GONE: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds; the others are seconds
}

_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")

Engine = AsyncEngine
"""The type for modules outside this package, which may not import SQLAlchemy."""


def _postgres(value: SecretStr) -> SecretStr:
    try:
        scheme = make_url(value.get_secret_value()).drivername
    except ArgumentError:
        scheme = ""
    if scheme not in _SCHEMES:
        raise ValueError("must be of the form postgresql://user:password@host:port/database")
    return value


class DatabaseSettings(BaseSettings):
    """`DATABASE_URL` and its company, e.g. `DATABASE_POOL_SIZE`; timeouts in seconds."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    url: Annotated[SecretStr, AfterValidator(_postgres)]
    pool_size: int = Field(default=10, ge=1, le=200)
    pool_timeout_s: float = Field(default=5.0, gt=0)
    connect_timeout_s: int = Field(default=5, ge=2)
    statement_timeout_s: float = Field(default=30.0, gt=0)
    lock_timeout_s: float = Field(default=0.0, ge=0)
    """How long a statement waits for a row that somebody else is writing; 0: as long as it may run."""
    application_name: str = "microcred"

    @property
    def sqlalchemy_url(self) -> URL:
        """The URL with the driver that this code speaks."""
        return make_url(self.url.get_secret_value()).set(drivername="postgresql+psycopg")


class RequestDatabaseSettings(DatabaseSettings):
    """For requests, behind which somebody waits: better told to try again than kept waiting."""

    pool_timeout_s: float = Field(default=2.0, gt=0)
    statement_timeout_s: float = Field(default=10.0, gt=0)
    lock_timeout_s: float = Field(default=3.0, ge=0)


def _to_json(value: object) -> str:
    """Compact JSON; Decimal, UUID, dates and enumerations become their text."""
    return pydantic_core.to_json(value).decode()


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine whose errors never show parameters, because those may be answers.

    No ping before use: it would be a round trip per transaction. The first error after a restart of the server empties
    the whole pool, and every caller repeats what failed.
    """
    timeouts = {"statement_timeout": settings.statement_timeout_s, "lock_timeout": settings.lock_timeout_s}
    options = {name: round(seconds * 1000) for name, seconds in timeouts.items()} | {
        "timezone": "UTC",
        # no statement here runs for so long that compiling it would pay; the planner thinks that some do
        "jit": "off",
    }
    return create_async_engine(
        settings.sqlalchemy_url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_timeout_s,
        pool_recycle=1800,
        hide_parameters=True,
        json_serializer=_to_json,
        connect_args={
            **_UNTIL_GONE,
            "application_name": settings.application_name,
            "connect_timeout": settings.connect_timeout_s,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        },
    )
