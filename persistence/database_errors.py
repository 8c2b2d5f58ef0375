"""Decide which database errors are temporary. The others are bugs or bad data and are raised unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.errors import StorageUnavailable

_TRANSIENT: Final = (
    "08",  # connection exceptions
    "40",  # serialization failures and deadlocks
    "53",  # out of resources, too many connections
    "55P03",  # lock timeout
    "57",  # statement timeout, server shutdown or startup
)


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
