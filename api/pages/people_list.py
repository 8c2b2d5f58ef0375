"""The list of people: its filters, its orders and the headings that sort it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import urlencode

from api.pages.form_errors import parameters
from api.pages.texts import gettext
from api.routes.users import UserQuery
from api.schemas.cursors import decode_sorted, encode_sorted
from domain.errors import InvalidInput, Problem
from persistence.queries.people_order import PeopleKey, PeopleOrder, PeoplePosition
from persistence.queries.people_views import UserFilter, UserView

NEWEST: Final = "-added"
_DESCENDING_FIRST: Final = frozenset({PeopleKey.LAST_SIGN_IN, PeopleKey.ADDED})
"""Times are shown newest first when a reader first sorts by them."""


class PeopleQuery(UserQuery):
    """The query of the page. `sort` is a key; a minus before it means descending."""

    sort: Literal[
        "name", "-name", "role", "-role", "status", "-status", "last_sign_in", "-last_sign_in", "added", "-added"
    ] = NEWEST

    @property
    def order(self) -> PeopleOrder:
        return PeopleOrder(PeopleKey(self.sort.removeprefix("-")), descending=self.sort.startswith("-"))

    @property
    def position(self) -> PeoplePosition | None:
        """The position of the last row of the previous page.

        Raises:
            InvalidInput: the cursor is malformed, or belongs to another order.
        """
        if self.cursor is None:
            return None
        key, created_at, user_id = decode_sorted(self.cursor, self.sort)
        return (_time(key) if self.order.has_times else key), created_at, user_id

    @property
    def wanted(self) -> UserFilter:
        return UserFilter(**self.model_dump(exclude={"cursor", "limit", "sort"}))

    def cursor_after(self, view: UserView) -> str:
        key, created_at, user_id = self.order.position_of(view)
        return encode_sorted(self.sort, key if isinstance(key, str) else key.isoformat(), created_at, user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SortHeading:
    """A heading with a link that sorts by its column. `sorted` is the value of `aria-sort`."""

    label: str
    path: str
    sorted: str


def headings(query: PeopleQuery, *, sortable: bool) -> dict[str, SortHeading | str]:
    """Return the headings by their key, as texts unless they sort. The link of the current one reverses the order."""
    texts = {
        PeopleKey.NAME: gettext("Name"),
        PeopleKey.ROLE: gettext("Role"),
        PeopleKey.STATUS: gettext("Status"),
        PeopleKey.LAST_SIGN_IN: gettext("Last sign-in"),
        PeopleKey.ADDED: gettext("Added"),
    }
    return {key.value: _heading(key, label, query) if sortable else label for key, label in texts.items()}


def orders() -> list[tuple[str, str]]:
    """Return the orders for the form, which narrow screens have in place of the headings."""
    return [
        (NEWEST, gettext("Newest first")),
        ("added", gettext("Oldest first")),
        ("name", gettext("Name, A to Z")),
        ("-name", gettext("Name, Z to A")),
        ("role", gettext("Role, ascending")),
        ("-role", gettext("Role, descending")),
        ("status", gettext("Status, ascending")),
        ("-status", gettext("Status, descending")),
        ("-last_sign_in", gettext("Last sign-in, newest first")),
        ("last_sign_in", gettext("Last sign-in, oldest first")),
    ]


def _heading(key: PeopleKey, label: str, query: PeopleQuery) -> SortHeading:
    current = query.order.key is key
    descending = not query.order.descending if current else key in _DESCENDING_FIRST
    sort = f"-{key}" if descending else key.value
    return SortHeading(
        label=label,
        path=f"/admin/people?{urlencode(parameters(query) | {'sort': sort})}",
        sorted="none" if not current else "descending" if query.order.descending else "ascending",
    )


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("The request is not valid", (Problem("cursor", "is not a cursor of this list"),)) from None
