"""Changes of user accounts."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from api.security.passwords import hash_password
from persistence.tables import AuditLogRow
from tests.api.conftest import Api, Person
from tests.api.users.account_requests import PASSWORD, audited, hold, log_in, patch, stored


@pytest.mark.parametrize("role", ["student", "advisor"])
async def test_the_platforms_admin_reaches_no_other_people_of_an_organization(api: Api, role: str) -> None:
    platform, person = await api.person("platform_admin"), await api.person(role)
    path = f"/users/{person.id}"
    answers = [
        await api.get(platform, path),
        await patch(api, platform, person.id, password=PASSWORD),
        await patch(api, platform, person.id, status="disabled"),
        await patch(api, platform, person.id, role="admin"),
        await api.client.delete(f"/api/v1{path}", headers=platform.headers),
    ]
    held = [
        (await api.get(platform, f"{path}/credentials")).status_code,
        await hold(api, platform, person, api.credentials[0]),
    ]
    assert ([answer.status_code for answer in answers], held) == ([404] * 5, [403, 403])
    assert (await api.get(person, "/me")).status_code == 200


async def test_the_platforms_admin_resets_and_disables_admins_under_a_role_of_its_own(
    api: Api, elsewhere: UUID
) -> None:
    platform, admin = await api.person("platform_admin"), await api.person("admin", of=elsewhere)
    await api.person("admin", of=elsewhere)

    answers = [
        await patch(api, platform, admin.id, role="advisor"),
        await patch(api, platform, admin.id, password=PASSWORD),
        await patch(api, platform, admin.id, status="disabled"),
    ]

    assert [answer.status_code for answer in answers] == [403, 200, 200]
    async with api.sessions() as session:
        rows = select(AuditLogRow.action, AuditLogRow.actor_role).where(AuditLogRow.resource_id == admin.id)
        found = [tuple(row) for row in await session.execute(rows)]
    assert found == [("user.changed", "platform_admin")] * 2


@pytest.mark.parametrize("change", [{"role": "advisor"}, {"status": "disabled"}, {"password": PASSWORD * 2}], ids=str)
async def test_a_change_ends_the_persons_sessions(api: Api, admin: Person, change: dict[str, Any]) -> None:
    person = await api.person(password_hash=hash_password(PASSWORD))
    pair = (await log_in(api, f"{person.id}@example.org")).json()
    assert (await api.get(person, "/me")).status_code == 200

    changed = await patch(api, admin, person.id, **change)

    refreshed = await api.client.post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    assert changed.status_code == 200, changed.text
    assert refreshed.status_code == 401
    assert (await api.get(person, "/me")).status_code == 401
    assert (await stored(api, person.id)).token_version == 1


async def test_a_person_who_is_disabled_may_be_enabled(api: Api, admin: Person) -> None:
    person = await api.person(password_hash=hash_password(PASSWORD))
    email = f"{person.id}@example.org"

    await patch(api, admin, person.id, status="disabled")
    meanwhile = await log_in(api, email)
    enabled = await patch(api, admin, person.id, status="active")

    assert (meanwhile.status_code, enabled.json()["status"], (await log_in(api, email)).status_code) == (
        401,
        "active",
        200,
    )
    assert [(action, details) for action, _, details in await audited(api, person.id)] == [
        ("user.changed", {"fields": ["status"], "status": "disabled"}),
        ("user.changed", {"fields": ["status"], "status": "active"}),
    ]


async def test_a_change_without_effect_ends_no_session(api: Api, admin: Person) -> None:
    person = await api.person()
    answer = await patch(api, admin, person.id, role="student", status="active")
    assert (answer.status_code, await audited(api, person.id)) == (200, [])
    assert (await api.get(person, "/me")).status_code == 200


async def test_only_the_password_of_a_change_is_kept_from_the_trail(api: Api, admin: Person) -> None:
    person = await api.person()
    await patch(api, admin, person.id, role="advisor", password=PASSWORD)
    assert await audited(api, person.id) == [
        ("user.changed", admin.id, {"fields": ["password", "role"], "role": "advisor"})
    ]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"role": None},
        {"role": "owner"},
        {"status": "erasing"},
        {"status": "erased"},
        {"password": "short"},
        {"email": "a@example.org"},
        {"organization_id": "00000000-0000-4000-8000-000000000000"},
        {"token_version": 0},
    ],
    ids=str,
)
async def test_an_invalid_change_is_400(api: Api, admin: Person, learner: Person, change: dict[str, Any]) -> None:
    assert (await patch(api, admin, learner.id, **change)).status_code == 400


@pytest.mark.parametrize("change", [{"role": "advisor"}, {"status": "disabled"}], ids=str)
async def test_the_last_admin_stays(api: Api, elsewhere: UUID, change: dict[str, Any]) -> None:
    last = await api.person("admin", of=elsewhere)
    await api.person("admin", of=elsewhere, status="disabled")
    platform = await api.person("platform_admin")

    answers = [await patch(api, who, last.id, **change) for who in (last, platform)]

    assert [answer.status_code for answer in answers] == [409, 409]
    await api.person("admin", of=elsewhere)
    assert (await patch(api, last, last.id, **change)).status_code == 200


async def test_two_admins_cannot_remove_each_other_at_once(api: Api, elsewhere: UUID) -> None:
    one, two = await api.person("admin", of=elsewhere), await api.person("admin", of=elsewhere)
    answers = await asyncio.gather(patch(api, one, two.id, role="advisor"), patch(api, two, one.id, status="disabled"))
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 401])
    assert {(await stored(api, each.id)).role for each in (one, two)} <= {"admin", "advisor"}
    remaining = [await stored(api, each.id) for each in (one, two)]
    assert [(row.role, row.status) for row in remaining].count(("admin", "active")) == 1


async def test_a_platform_admin_has_no_other_role(api: Api) -> None:
    platform, other = await api.person("platform_admin"), await api.person("platform_admin")
    assert (await patch(api, platform, other.id, role="student")).status_code == 409
    assert (await patch(api, platform, other.id, status="disabled")).status_code == 200


async def test_a_user_who_is_being_erased_cannot_be_changed(api: Api, admin: Person) -> None:
    person, gone = await api.person(status="erasing"), await api.person(status="erased")
    assert (await patch(api, admin, person.id, role="advisor")).status_code == 410
    assert (await patch(api, admin, gone.id, role="advisor")).status_code == 404
    assert (await api.get(admin, f"/users/{gone.id}")).status_code == 404


async def test_more_time_is_stored_shown_and_audited_without_its_values(api: Api, admin: Person) -> None:
    person = await api.person()

    changed = await patch(api, admin, person.id, time_factor=1.25, extra_minutes=20)

    assert (changed.status_code, changed.json()["time_factor"], changed.json()["extra_minutes"]) == (200, 1.25, 20)
    assert await audited(api, person.id) == [("user.changed", admin.id, {"fields": ["extra_minutes", "time_factor"]})]
    assert (await api.get(person, "/me")).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"time_factor": 0.99},
        {"time_factor": 3.01},
        {"time_factor": 1.005},
        {"time_factor": "1.5"},
        {"time_factor": True},
        {"time_factor": None},
        {"extra_minutes": -1},
        {"extra_minutes": 601},
        {"extra_minutes": 1.5},
    ],
    ids=str,
)
async def test_a_time_outside_the_limits_is_refused(api: Api, admin: Person, change: dict[str, Any]) -> None:
    person = await api.person()

    answer = await patch(api, admin, person.id, **change)

    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, next(iter(change)))


async def test_only_students_get_more_time(api: Api, admin: Person) -> None:
    advisor = await api.person("advisor")

    answer = await patch(api, admin, advisor.id, time_factor=2)

    assert answer.status_code == 409
    assert (await stored(api, advisor.id)).time_factor == 1
