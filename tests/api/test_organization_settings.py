"""The settings of an organization."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update

from persistence.tables import AuditLogRow, OrganizationRow
from tests.api.conftest import Api, Person

PATH = "/api/v1/organization/settings"
DEFAULTS = {
    "release": "at_once",
    "audit_share": 0.05,
    "blind": False,
    "appeal_window_days": 14,
    "appeals_per_role": 3,
    "appeal_reminder_days": 3,
    "appeal_overdue_days": 7,
    "share_reviewed_answers": None,
    "review_target_kappa": 0.7,
}


async def store(api: Api, settings: dict[str, Any]) -> None:
    async with api.sessions() as session:
        row = OrganizationRow
        await session.execute(update(row).where(row.id == api.organization_id).values(settings=settings))
        await session.commit()


@pytest.fixture
async def admin(api: Api) -> AsyncIterator[Person]:
    """An admin of the organization that other tests use too, so its settings become the defaults again."""
    await store(api, {})
    yield await api.person("admin")
    await store(api, {})


async def test_a_new_organization_has_the_defaults(api: Api, admin: Person) -> None:
    found = await api.client.get(PATH, headers=admin.headers)

    assert (found.status_code, found.json()) == (200, DEFAULTS)


async def test_an_admin_changes_some_settings(api: Api, admin: Person) -> None:
    changed = await api.client.patch(PATH, json={"release": "doubtful_held", "blind": True}, headers=admin.headers)

    assert (changed.status_code, changed.json()) == (200, DEFAULTS | {"release": "doubtful_held", "blind": True})
    assert (await api.client.get(PATH, headers=admin.headers)).json() == changed.json()


async def test_the_audit_trail_has_the_old_and_the_new_values(api: Api, admin: Person) -> None:
    await api.client.patch(PATH, json={"audit_share": 0.2, "blind": False}, headers=admin.headers)

    async with api.sessions() as session:
        entry = AuditLogRow
        wanted = select(entry.action, entry.details).where(
            entry.actor_id == admin.id, entry.action == "organization.settings_changed"
        )
        rows = (await session.execute(wanted)).all()
    assert [tuple(row) for row in rows] == [
        ("organization.settings_changed", {"audit_share": {"from": 0.05, "to": 0.2}})
    ]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"release": "later"},
        {"release": None},
        {"audit_share": 1.5},
        {"audit_share": "0.1"},
        {"blind": "yes"},
        {"appeal_window_days": -1},
        {"appeal_reminder_days": 0},
        {"appeal_reminder_days": 8},  # the appeal would be overdue before
        {"appeal_overdue_days": 2},
        {"unknown": 1},
    ],
)
async def test_a_wrong_change_is_refused(api: Api, admin: Person, change: dict[str, Any]) -> None:
    refused = await api.client.patch(PATH, json=change, headers=admin.headers)

    assert refused.status_code == 400
    assert (await api.client.get(PATH, headers=admin.headers)).json() == DEFAULTS


async def test_settings_of_a_later_release_are_ignored(api: Api, admin: Person) -> None:
    await store(api, {"release": "all_held", "not_known_yet": 7})

    found = await api.client.get(PATH, headers=admin.headers)

    assert found.json() == DEFAULTS | {"release": "all_held"}
