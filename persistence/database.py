"""PostgreSQL connection settings, the connection pool, and which database errors are temporary."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import pydantic_core
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.errors import StorageUnavailable

# Detects a lost server within about 25 seconds. With the system's defaults, a statement would wait two hours for a
# machine that no longer answers.
KEEPALIVE: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds; the others are seconds
}

_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")

_TRANSIENT: Final = (
    "08",  # connection exceptions
    "40",  # serialization failures and deadlocks
    "53",  # out of resources, too many connections
    "55P03",  # lock timeout
    "57",  # statement timeout, server shutdown or startup
)
"""Classes and codes of errors that a retry may avoid. The others are bugs or bad data and are raised unchanged."""

_READ_ONLY: Final = "25006"
"""The error of a write to a standby."""

_IN_AUTOCOMMIT: Final = "microcred_in_autocommit"

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
    """Read `DATABASE_URL` and the other `DATABASE_…` settings; timeouts are in seconds."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    url: Annotated[SecretStr, AfterValidator(_postgres)]
    pool_size: int = Field(default=10, ge=1, le=200)
    pool_timeout_s: float = Field(default=5.0, gt=0)
    connect_timeout_s: int = Field(default=5, ge=2)
    statement_timeout_s: float = Field(default=30.0, gt=0)
    lock_timeout_s: float = Field(default=0.0, ge=0)
    """The lock timeout of a statement. 0: only `statement_timeout_s` limits the wait."""
    application_name: str = "microcred"

    @property
    def sqlalchemy_url(self) -> URL:
        """Return the URL with the driver that this application uses."""
        return make_url(self.url.get_secret_value()).set(drivername="postgresql+psycopg")


class RequestDatabaseSettings(DatabaseSettings):
    """Database settings with shorter timeouts for HTTP requests: the client receives an error and can retry early."""

    pool_timeout_s: float = Field(default=2.0, gt=0)
    statement_timeout_s: float = Field(default=10.0, gt=0)
    lock_timeout_s: float = Field(default=3.0, ge=0)


def _to_json(value: object) -> str:
    """Return compact JSON. Decimal, UUID, date and enumeration values become text."""
    return pydantic_core.to_json(value).decode()


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Create an engine whose errors never show parameters, because parameters may be students' answers.

    Connections are not pinged before use, which saves a round trip per transaction. The first error after a restart of
    the server, or after a failover, empties the whole pool, and every caller retries the failed call.

    The driver is always in autocommit, and each transaction begins with an explicit BEGIN. To switch the driver between
    both modes for each read would cost a fifth of the read's CPU time.
    """
    timeouts = {"statement_timeout": settings.statement_timeout_s, "lock_timeout": settings.lock_timeout_s}
    options = {name: round(seconds * 1000) for name, seconds in timeouts.items()} | {
        "timezone": "UTC",
        # The planner sometimes chooses JIT, but no statement here runs long enough to profit from it.
        "jit": "off",
    }
    engine = create_async_engine(
        settings.sqlalchemy_url,
        isolation_level="AUTOCOMMIT",
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_timeout_s,
        pool_recycle=1800,
        hide_parameters=True,
        json_serializer=_to_json,
        connect_args={
            **KEEPALIVE,
            "application_name": settings.application_name,
            "connect_timeout": settings.connect_timeout_s,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        },
    )
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "handle_error", _leave_standby)
    return engine


def in_autocommit(engine: AsyncEngine) -> AsyncEngine:
    """Return an engine with the same connections, on which each statement is a transaction: one round trip for each."""
    return engine.execution_options(**{_IN_AUTOCOMMIT: True})


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get(_IN_AUTOCOMMIT):
        connection.exec_driver_sql("BEGIN")


def _leave_standby(context: ExceptionContext) -> None:
    """Replace the connections of the pool after a write to a standby: a failover has made their server one."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def storage_failure(error: BaseException | None) -> StorageUnavailable | None:
    """Return the error to raise instead, or None when a retry cannot help.

    Raise it `from None`: the original error may quote data.
    """
    if isinstance(error, PoolTimeoutError):
        return StorageUnavailable("No database connection became free within the pool timeout")
    if not isinstance(error, DBAPIError):
        return None
    sqlstate = getattr(error.orig, "sqlstate", None)
    lost = sqlstate is None and isinstance(error, InterfaceError | OperationalError)
    if lost or error.connection_invalidated or str(sqlstate).startswith(_TRANSIENT):
        return StorageUnavailable(f"The database is temporarily unavailable (SQLSTATE {sqlstate or 'none'})")
    return None


@contextmanager
def storage_errors() -> Iterator[None]:
    """Replace the driver's temporary errors by StorageUnavailable (see `storage_failure`)."""
    try:
        yield
    except Exception as error:
        if failure := storage_failure(error):
            raise failure from None
        raise
