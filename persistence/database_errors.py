"""Which database errors pass by themselves. The rest are bugs or bad data, and stay what they are."""

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
    "55P03",  # a lock was not to be had in time
    "57",  # cancelled by timeout, shut down, starting up
)


def storage_failure(error: BaseException | None) -> StorageUnavailable | None:
    """What to raise instead, `from None` because the original may quote data; None when a retry cannot help."""
    if isinstance(error, PoolTimeoutError):
        return StorageUnavailable("No database connection became free in time")
    if not isinstance(error, DBAPIError):
        return None
    sqlstate = getattr(error.orig, "sqlstate", None)
    lost = sqlstate is None and isinstance(error, InterfaceError | OperationalError)
    if lost or error.connection_invalidated or str(sqlstate).startswith(_TRANSIENT):
        return StorageUnavailable(f"The database did not serve the call (SQLSTATE {sqlstate or 'none'})")
    return None


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raises what `storage_failure` says instead of the driver's error."""
    try:
        yield
    except Exception as error:
        if failure := storage_failure(error):
            raise failure from None
        raise
