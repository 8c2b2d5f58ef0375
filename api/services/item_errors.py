"""Unexpected errors about one object of a request about many."""

from dataclasses import dataclass

import structlog

from activities.debugging import frames_of
from api.schemas.errors import UNEXPECTED
from domain.errors import AppError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """The code and message of an error, as in an error response."""

    code: str
    message: str


def item_error(event: str, error: Exception, **about: object) -> ItemError:
    """Log the error with its stack frames, and return its code and message for the caller.

    Only messages of an `AppError` are returned. Other messages may contain internals or the input.
    """
    log.error(event, error_type=type(error).__qualname__, frames=frames_of(error), **about)
    if isinstance(error, AppError):
        return ItemError(code=error.code, message=error.message)
    return ItemError(code=AppError.code, message=UNEXPECTED)
