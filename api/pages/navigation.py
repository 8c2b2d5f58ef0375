"""The home page of each role, and the items of the navigation that a principal may open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from api.pages.permissions import may_open
from api.pages.texts import gettext, mark
from api.security.authorization import CallerRole
from api.security.tokens import Principal

HOMES: Final[Mapping[CallerRole, str]] = {
    CallerRole.STUDENT: "/learn",
    CallerRole.ADVISOR: "/overview",
    CallerRole.ADMIN: "/admin/attention",
    CallerRole.PLATFORM_ADMIN: "/platform/organizations",
}
"""The page that a role sees first. Other roles see a short overview at `/`."""


MAX_TOP: Final = 7
"""With more items, the menu shows groups. Every role then sees at most this many entries at the top."""

_OWN: Final = ""
"""The group of items that are entries of their own."""

ITEMS: Final[tuple[tuple[str, str, str, str], ...]] = (
    # Group, label, path, name of the page in PAGE_PERMISSIONS.
    (_OWN, mark("My assessments"), "/learn", "student_home_page"),
    (_OWN, mark("Attention"), "/admin/attention", "admin_home_page"),
    (_OWN, mark("Overview"), "/overview", "overview_page"),
    (_OWN, mark("Organizations"), "/platform/organizations", "organizations_page"),
    (mark("Grading"), mark("Reviews"), "/reviews", "review_queue_page"),
    (mark("Grading"), mark("Assessments"), "/assessments", "assessment_list_page"),
    (mark("Grading"), mark("Appeals"), "/appeals", "appeal_list_page"),
    (mark("Grading"), mark("Re-scores"), "/rescores", "rescore_list_page"),
    (mark("Members"), mark("People"), "/admin/people", "people_page"),
    (mark("Members"), mark("Cohorts"), "/admin/cohorts", "cohorts_page"),
    (mark("Connections"), mark("Webhooks"), "/admin/webhooks", "webhooks_page"),
    (mark("Connections"), mark("API keys"), "/admin/api-keys", "api_keys_page"),
    (_OWN, mark("Catalogue"), "/platform/catalog", "catalog_page"),
    (mark("Administration"), mark("Settings"), "/admin/settings", "settings_page"),
    (mark("Administration"), mark("Cost"), "/admin/cost", "cost_page"),
    (mark("Administration"), mark("Audit log"), "/admin/audit", "audit_page"),
)


_PARENTS: Final[Mapping[str, str]] = {
    "/admin/deliveries": "/admin/webhooks",
    "/cohorts": "/overview",
    "/students": "/assessments",
}
"""Pages that belong to an item, but have other paths."""


@dataclass(frozen=True, slots=True)
class NavigationItem:
    label: str
    path: str
    current: bool


@dataclass(frozen=True, slots=True)
class NavigationGroup:
    """Items behind one entry of the menu. `current`: one of them is open."""

    label: str
    items: tuple[NavigationItem, ...]

    @property
    def current(self) -> bool:
        return any(item.current for item in self.items)


def navigation_for(principal: Principal, path: str) -> tuple[NavigationItem | NavigationGroup, ...]:
    """Return the items that the principal may open. `current`: the page, or one below it, is open."""
    if principal.must_change_password:
        return ()
    shown = [
        (group, NavigationItem(gettext(label), target, _belongs(path, target)))
        for group, label, target, page in ITEMS
        if may_open(principal, page)
    ]
    if len(shown) <= MAX_TOP:
        return tuple(item for _, item in shown)
    return tuple(_grouped(shown))


def current_label(menu: Sequence[NavigationItem | NavigationGroup]) -> str:
    """Return the label of the item that is open, also inside a group; "" if the page belongs to none."""
    items = (item for each in menu for item in (each.items if isinstance(each, NavigationGroup) else (each,)))
    return next((item.label for item in items if item.current), "")


def _belongs(path: str, target: str) -> bool:
    """Whether the page at `path` is the item's page, or one below it."""
    parents = (target, *(each for each, parent in _PARENTS.items() if parent == target))
    return any(path == parent or path.startswith(f"{parent}/") for parent in parents)


def _grouped(shown: Sequence[tuple[str, NavigationItem]]) -> Iterator[NavigationItem | NavigationGroup]:
    """Yield items and groups in the order of the items. A group of one item is that item."""
    for group, found in groupby(shown, key=lambda each: each[0]):
        items = tuple(item for _, item in found)
        if group == _OWN or len(items) == 1:
            yield from items
        else:
            yield NavigationGroup(gettext(group), items)
