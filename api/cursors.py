"""Opaque positions in a list, so that a page stays right while rows are added before it."""

import base64
import json
from datetime import UTC, datetime
from uuid import UUID

from domain.errors import InvalidInput, Problem


def encode(created_at: datetime, row_id: UUID) -> str:
    position = json.dumps([created_at.isoformat(), str(row_id)], separators=(",", ":"))
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[datetime, UUID]:
    """The position.

    Raises:
        InvalidInput: it is not a cursor of ours.
    """
    try:
        created_at, row_id = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        return datetime.fromisoformat(created_at).astimezone(UTC), UUID(row_id)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InvalidInput("The request is not valid", (Problem("cursor", "is not a cursor of this list"),)) from None
