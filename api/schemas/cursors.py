"""Opaque cursors for lists, so that pages stay correct while rows are added."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar
from uuid import UUID

from domain.errors import InvalidInput, Problem


class Dated(Protocol):
    @property
    def created_at(self) -> datetime: ...


View = TypeVar("View", bound=Dated)


def encode(created_at: datetime, row_id: UUID) -> str:
    position = json.dumps([created_at.isoformat(), str(row_id)], separators=(",", ":"))
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def page(views: Sequence[View], limit: int, id_of: Callable[[View], UUID]) -> tuple[Sequence[View], str | None]:
    """Return the first `limit` views, and the cursor of the next page if there are more views."""
    shown = views[:limit]
    return shown, encode(shown[-1].created_at, id_of(shown[-1])) if len(views) > limit else None


def decode(cursor: str) -> tuple[datetime, UUID]:
    """Return the position of a cursor.

    Raises:
        InvalidInput: the cursor is malformed.
    """
    try:
        created_at, row_id = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        return datetime.fromisoformat(created_at).astimezone(UTC), UUID(row_id)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InvalidInput("The request is not valid", (Problem("cursor", "is not a cursor of this list"),)) from None
