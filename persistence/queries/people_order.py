"""The orders of the list of people. Each has an index, so that a page costs the same wherever it is in the list."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, cast, func, literal, tuple_
from sqlalchemy.dialects.postgresql import CITEXT

from persistence.queries.people_views import UserView
from persistence.queries.reader import Selected
from persistence.tables import UserRow
from persistence.tables.base import table_of

NEVER: Final = datetime.fromtimestamp(0, UTC)
"""The last sign-in of a user who has not signed in, for the order only."""

_users: Final = table_of(UserRow).c


class PeopleKey(StrEnum):
    """What the list is sorted by. `name` is the name, or the e-mail address of a user without a name."""

    NAME = "name"
    ROLE = "role"
    STATUS = "status"
    LAST_SIGN_IN = "last_sign_in"
    ADDED = "added"


PeoplePosition: TypeAlias = tuple[str | datetime, datetime, UUID]
"""The key of a user, when the account was created, and its id. Users with equal keys are sorted by the other two."""

_EXPRESSIONS: Final[dict[PeopleKey, ColumnElement[Any]]] = {
    PeopleKey.NAME: func.coalesce(cast(_users.name, CITEXT), _users.email),
    PeopleKey.ROLE: _users.role.expression,
    PeopleKey.STATUS: _users.status.expression,
    PeopleKey.LAST_SIGN_IN: func.coalesce(_users.last_sign_in_at, func.to_timestamp(0)),
    PeopleKey.ADDED: _users.created_at.expression,
}


@dataclass(frozen=True, slots=True)
class PeopleOrder:
    key: PeopleKey
    descending: bool = False

    def position_of(self, view: UserView) -> PeoplePosition:
        """Return where the user is in this order."""
        match self.key:
            case PeopleKey.NAME:
                key: str | datetime = view.email if view.name is None else view.name
            case PeopleKey.ROLE:
                key = view.role
            case PeopleKey.STATUS:
                key = view.status
            case PeopleKey.LAST_SIGN_IN:
                key = view.last_sign_in_at or NEVER
            case PeopleKey.ADDED:
                key = view.created_at
        return key, view.created_at, view.user_id

    @property
    def has_times(self) -> bool:
        """Whether the keys are times; otherwise they are texts."""
        return self.key in {PeopleKey.LAST_SIGN_IN, PeopleKey.ADDED}

    def page(self, statement: Selected, after: PeoplePosition | None, limit: int) -> Selected:
        """Limit the statement to the page after a position."""
        columns = (_users.created_at, _users.id)
        row = columns if self.key is PeopleKey.ADDED else (_EXPRESSIONS[self.key], *columns)
        if after is not None:
            pairs = zip(row, after[-len(row) :], strict=True)
            position = tuple_(*(literal(value, column.type) for column, value in pairs))
            statement = statement.where(tuple_(*row) < position if self.descending else tuple_(*row) > position)
        return statement.order_by(*(each.desc() if self.descending else each.asc() for each in row)).limit(limit)
