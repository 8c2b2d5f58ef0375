"""Conditions that find users by a part of their name or e-mail address, and by cohort."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Text, cast, or_, select

from persistence.tables import CohortMemberRow, UserRow

_FEWEST_INDEXED: Final = 3
"""The index has groups of three characters. A shorter text is looked up as the start of a word."""


def is_called(text: str) -> ColumnElement[bool]:
    """Return the condition that the name or the address contains the text, in any case.

    A text of one or two characters must be the start of a word of the name, or of the address.
    """
    name, address = UserRow.name, cast(UserRow.email, Text)
    part = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if len(text) >= _FEWEST_INDEXED:
        return or_(name.ilike(f"%{part}%"), address.ilike(f"%{part}%"))
    return or_(name.ilike(f"{part}%"), name.ilike(f"% {part}%"), address.ilike(f"{part}%"))


def is_member(user_id: ColumnElement[Any], cohort_id: UUID | BindParameter[UUID]) -> ColumnElement[bool]:
    """Return the condition that the user is in the cohort."""
    return user_id.in_(select(CohortMemberRow.user_id).where(CohortMemberRow.cohort_id == cohort_id))
