"""The menu: at most seven entries, and a second level for roles with more pages."""

from uuid import uuid4

import pytest

from api.pages.navigation import ITEMS, MAX_TOP, NavigationGroup, NavigationItem, current_label, navigation_for
from api.pages.permissions import may_open
from api.security.tokens import Principal, UserRole


def principal(role: UserRole, *, platform: bool = False) -> Principal:
    organization_id = None if platform else uuid4()
    return Principal(user_id=uuid4(), role=role, organization_id=organization_id, version=0)


ROLES = {
    "student": principal(UserRole.STUDENT),
    "advisor": principal(UserRole.ADVISOR),
    "admin": principal(UserRole.ADMIN),
    "platform_admin": principal(UserRole.ADMIN, platform=True),
}


def paths_of(menu: tuple[NavigationItem | NavigationGroup, ...]) -> list[str]:
    grouped = [each.items if isinstance(each, NavigationGroup) else (each,) for each in menu]
    return [item.path for items in grouped for item in items]


@pytest.mark.parametrize("role", ROLES)
def test_the_menu_has_at_most_seven_entries_and_every_page(role: str) -> None:
    menu = navigation_for(ROLES[role], "/")

    assert 0 < len(menu) <= MAX_TOP
    assert paths_of(menu) == [path for _, _, path, page in ITEMS if may_open(ROLES[role], page)]


def test_the_group_of_the_open_page_is_current() -> None:
    menu = navigation_for(ROLES["admin"], "/rescores/new")

    current = [each for each in menu if each.current]
    assert [each.label for each in current] == ["Grading"]
    assert isinstance(current[0], NavigationGroup)
    assert [item.path for item in current[0].items if item.current] == ["/rescores"]


@pytest.mark.parametrize(
    ("path", "label"),
    [("/admin/deliveries", "Connections"), ("/students/1", "Grading"), ("/cohorts/1/skills", "Overview")],
)
def test_a_page_with_another_path_than_its_item_is_current(path: str, label: str) -> None:
    assert [each.label for each in navigation_for(ROLES["admin"], path) if each.current] == [label]


@pytest.mark.parametrize(
    ("role", "path", "label"),
    [("admin", "/rescores/new", "Re-scores"), ("advisor", "/overview", "Overview"), ("admin", "/account/password", "")],
)
def test_the_folded_menu_names_the_open_page(role: str, path: str, label: str) -> None:
    assert current_label(navigation_for(ROLES[role], path)) == label


@pytest.mark.parametrize("role", ["student", "advisor"])
def test_a_short_menu_has_no_groups(role: str) -> None:
    assert not any(isinstance(each, NavigationGroup) for each in navigation_for(ROLES[role], "/"))
