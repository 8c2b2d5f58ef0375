"""Opaque cursors for lists, so that pages stay correct while rows are added."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Protocol, TypeVar
from uuid import UUID

from pydantic import BeforeValidator, Field

from api.middleware.strict_json import parse_json
from api.schemas.base import QueryInput, digits
from domain.errors import InvalidInput, Problem

_MOST_RANKS: Final = 100


class Dated(Protocol):
    @property
    def created_at(self) -> datetime: ...


View = TypeVar("View", bound=Dated)


class PageQuery(QueryInput):
    """The query of a list with pages. Subclasses add filters."""

    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)

    @property
    def after(self) -> tuple[datetime, UUID] | None:
        """The position of the last row of the previous page. A malformed cursor raises InvalidInput."""
        return decode(self.cursor) if self.cursor else None

    def filters(self) -> dict[str, Any]:
        """Return the filters, and the position as `after`."""
        return self.model_dump(exclude={"cursor", "limit"}) | {"after": self.after}

    def page(self, views: Sequence[View], id_of: Callable[[View], UUID]) -> tuple[Sequence[View], str | None]:
        """Return the rows of the page, and the cursor of the next page if `views` has one row more than `limit`."""
        shown = views[: self.limit]
        return shown, encode(shown[-1].created_at, id_of(shown[-1])) if len(views) > self.limit else None


def encode(created_at: datetime, row_id: UUID) -> str:
    return _encode(created_at.isoformat(), row_id)


def encode_rank(rank: int, row_id: UUID) -> str:
    """Return the cursor of a list that is sorted by a whole number instead of a time."""
    return _encode(rank, row_id)


def decode(cursor: str) -> tuple[datetime, UUID]:
    """Return the position of a cursor.

    Raises:
        InvalidInput: the cursor is malformed.
    """
    created_at, row_id = _decode(cursor)
    try:
        return datetime.fromisoformat(created_at).astimezone(UTC), row_id
    except (ValueError, TypeError, OverflowError):
        raise _not_a_cursor() from None


def decode_rank(cursor: str) -> tuple[int, UUID]:
    """Return the position of a cursor of `encode_rank`.

    Raises:
        InvalidInput: the cursor is malformed.
    """
    rank, row_id = _decode(cursor)
    if type(rank) is not int or not 0 <= rank < _MOST_RANKS:
        raise _not_a_cursor()
    return rank, row_id


def encode_sorted(sort: str, key: str, created_at: datetime, row_id: UUID) -> str:
    """Return the cursor of a list that the reader sorts. `key` is the text of the value that it is sorted by."""
    return _encode([sort, key, created_at.isoformat()], row_id)


def decode_sorted(cursor: str, sort: str) -> tuple[str, datetime, UUID]:
    """Return the position of a cursor of `encode_sorted`.

    Raises:
        InvalidInput: the cursor is malformed, or belongs to another order.
    """
    first, row_id = _decode(cursor)
    try:
        found, key, created_at = first
        time = datetime.fromisoformat(created_at).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise _not_a_cursor() from None
    if found != sort or not isinstance(key, str):
        raise _not_a_cursor()
    return key, time, row_id


def _encode(first: str | int | list[str], row_id: UUID) -> str:
    position = json.dumps([first, str(row_id)], separators=(",", ":"))
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[Any, UUID]:
    try:
        first, row_id = parse_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        return first, UUID(row_id)
    except (ValueError, TypeError, AttributeError, InvalidInput):
        raise _not_a_cursor() from None


def _not_a_cursor() -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem("cursor", "is not a cursor of this list"),))
