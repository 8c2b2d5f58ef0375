"""The home page of each role, and the items of the navigation that a principal may open."""

from collections.abc import Mapping
from dataclasses import dataclass
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


ITEMS: Final[tuple[tuple[str, str, str], ...]] = (
    # Label, path, name of the page in PAGE_PERMISSIONS.
    (mark("My assessments"), "/learn", "student_home_page"),
    (mark("Overview"), "/overview", "overview_page"),
    (mark("Reviews"), "/reviews", "review_queue_page"),
    (mark("Assessments"), "/assessments", "assessment_list_page"),
    (mark("Appeals"), "/appeals", "appeal_list_page"),
    (mark("Attention"), "/admin/attention", "admin_home_page"),
    (mark("Organizations"), "/platform/organizations", "organizations_page"),
    (mark("People"), "/admin/people", "people_page"),
    (mark("Cohorts"), "/admin/cohorts", "cohorts_page"),
    (mark("Settings"), "/admin/settings", "settings_page"),
    (mark("Webhooks"), "/admin/webhooks", "webhooks_page"),
    (mark("API keys"), "/admin/api-keys", "api_keys_page"),
    (mark("Catalogue"), "/platform/catalog", "catalog_page"),
    (mark("Cost"), "/admin/cost", "cost_page"),
    (mark("Audit log"), "/admin/audit", "audit_page"),
)


@dataclass(frozen=True, slots=True)
class NavigationItem:
    label: str
    path: str
    current: bool

    @property
    def administers(self) -> bool:
        """Whether the page belongs to the second row of people who also see pages of advisors."""
        return self.path.startswith(("/admin/", "/platform/"))


def items_for(principal: Principal, path: str) -> tuple[NavigationItem, ...]:
    """Return the items that the principal may open. `current`: the page, or one below it, is open."""
    if principal.must_change_password:
        return ()
    return tuple(
        NavigationItem(gettext(label), target, path == target or path.startswith(f"{target}/"))
        for label, target, page in ITEMS
        if may_open(principal, page)
    )
