"""Unexpected errors about one object of a request about many."""

from dataclasses import dataclass
from typing import Final

import structlog

from activities.debugging import frames_of
from domain.errors import AppError

UNEXPECTED: Final = "An unexpected error occurred. Report it with the id in X-Request-Id"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """What the caller reads about an error: as in the error response of a request about one object."""

    code: str
    message: str


def item_error(event: str, error: Exception, **about: object) -> ItemError:
    """Log the error with its stack frames, and return what the caller may see of it.

    The message of an exception that is not an `AppError` may contain internals or the input: it is neither logged nor
    returned.
    """
    log.error(event, error_type=type(error).__qualname__, frames=frames_of(error), **about)
    if isinstance(error, AppError):
        return ItemError(code=error.code, message=error.message)
    return ItemError(code=AppError.code, message=UNEXPECTED)
