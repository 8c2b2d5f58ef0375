"""User accounts: creation, changes, and the credentials that users already hold."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import bcrypt
import httpx
import pytest
import structlog
from sqlalchemy import select, update

from api.security.passwords import hash_password
from persistence.tables import AuditLogRow, UserRow
from tests.api.conftest import Api, Person
from tests.support.builders import an_organization

PASSWORD = "correct horse battery staple"


def an_address() -> str:
    return f"{uuid4()}@example.org"


def wanted(**changes: Any) -> dict[str, Any]:
    return {"email": an_address(), "password": PASSWORD, "role": "student"} | changes


async def create(api: Api, admin: Person, **changes: Any) -> httpx.Response:
    return await api.client.post("/api/v1/users", json=wanted(**changes), headers=admin.headers)


async def patch(api: Api, admin: Person, user_id: object, **change: Any) -> httpx.Response:
    return await api.client.patch(f"/api/v1/users/{user_id}", json=change, headers=admin.headers)


async def log_in(api: Api, email: str, password: str = PASSWORD) -> httpx.Response:
    return await api.client.post("/api/v1/auth/token", data={"username": email, "password": password})


async def stored(api: Api, user_id: object) -> UserRow:
    async with api.sessions() as session:
        return (await session.scalars(select(UserRow).where(UserRow.id == UUID(str(user_id))))).one()


async def audited(api: Api, about: object) -> list[tuple[str, UUID | None, Any]]:
    row = AuditLogRow
    async with api.sessions() as session:
        found = select(row.action, row.actor_id, row.details).where(row.resource_id == UUID(str(about)))
        rows = await session.execute(found.order_by(row.seq))
    return [(each.action, each.actor_id, each.details) for each in rows]


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.person("admin")


@pytest.fixture
async def elsewhere(api: Api) -> UUID:
    """An organization that only this test uses."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    return organization_id


async def test_an_account_that_was_made_can_log_in(api: Api, admin: Person) -> None:
    email = an_address()

    made = await create(api, admin, email=email, role="advisor")

    user = made.json()
    assert made.status_code == 201
    assert (user["email"], user["role"], user["status"]) == (email, "advisor", "active")
    assert user["organization_id"] == str(api.organization_id)
    token = (await log_in(api, email)).json()["access_token"]
    me = await api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["user_id"] == user["user_id"]
    assert await audited(api, user["user_id"]) == [("user.created", admin.id, {"role": "advisor"})]


async def test_the_password_is_in_no_answer_and_no_log(api: Api, admin: Person) -> None:
    with structlog.testing.capture_logs() as lines:
        made = await create(api, admin)
        user_id = made.json()["user_id"]
        answers = [made, await patch(api, admin, user_id, password=PASSWORD * 2), await create(api, admin, role="x")]
    assert PASSWORD not in "".join(answer.text for answer in answers) + str(lines)
    assert PASSWORD not in str(await audited(api, user_id))
    password_hash = (await stored(api, user_id)).password_hash
    assert password_hash is not None
    assert bcrypt.checkpw((PASSWORD * 2).encode(), password_hash.encode())


async def test_an_address_is_taken_in_whatever_case_and_organization(api: Api, admin: Person) -> None:
    email = an_address()
    await api.person(elsewhere=True, email=email)
    answer = await create(api, admin, email=email.upper())
    assert (answer.status_code, answer.json()["error_code"]) == (409, "CONFLICT_409")
    assert email not in answer.text.lower()


async def test_two_who_ask_for_an_address_at_once_get_one_account(api: Api, admin: Person) -> None:
    email = an_address()
    answers = await asyncio.gather(*(create(api, admin, email=email) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "@example.org"),
        ("email", "a b@example.org"),
        ("email", "a@exa_mple.org"),
        ("email", "a@-example.org"),
        ("email", "a..b@example.org"),
        ("email", "é@example.org"),
        ("email", "a@example.org\n"),
        ("email", "=1+1@example.org,"),
        ("email", f"{'a' * 65}@example.org"),
        ("email", f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 63}.org"),
        ("email", 7),
        ("password", "x" * 11),
        ("password", "x" * 73),
        ("password", "é" * 37),
        ("password", 123456789012),
        ("password", "é" * 11),
        ("role", "platform_admin"),
        ("role", "owner"),
        ("organization_id", "00000000-0000-4000-8000-000000000000"),
        ("status", "disabled"),
    ],
    ids=str,
)
async def test_what_is_not_valid_is_400(api: Api, admin: Person, field: str, value: Any) -> None:
    answer = await create(api, admin, **{field: value})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


@pytest.mark.parametrize("password", ["0123456789ab", "0123456789ab" * 6, "äëïöüáéíóúàè", "äëïöüáéíóúàè" * 3])
async def test_a_password_has_12_characters_and_72_bytes(api: Api, admin: Person, password: str) -> None:
    email = an_address()
    assert (await create(api, admin, email=email, password=password)).status_code == 201
    assert (await log_in(api, email, password)).status_code == 200


async def test_the_platforms_admin_names_the_organization(api: Api, elsewhere: UUID) -> None:
    platform = await api.person("platform_admin")
    made = await create(api, platform, organization_id=str(elsewhere), role="admin")
    without = await create(api, platform, role="admin")
    unknown = await create(api, platform, organization_id=str(uuid4()), role="admin")
    assert (made.status_code, made.json()["organization_id"]) == (201, str(elsewhere))
    assert [without.status_code, unknown.status_code] == [400, 400]


@pytest.mark.parametrize("role", ["student", "advisor"])
async def test_the_platforms_admin_creates_admins_only(api: Api, elsewhere: UUID, role: str) -> None:
    platform = await api.person("platform_admin")
    refused = await create(api, platform, organization_id=str(elsewhere), role=role)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN_403")


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


async def test_a_request_that_is_repeated_makes_one_account(api: Api, admin: Person) -> None:
    body, headers = wanted(), admin.headers | {"Idempotency-Key": "make-one"}
    first, again = [await api.client.post("/api/v1/users", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["Idempotent-Replayed"] == "true"


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


async def test_the_list_has_stable_pages(api: Api, elsewhere: UUID) -> None:
    admin = await api.person("admin", of=elsewhere)
    made = [admin.id, *[(await api.person(of=elsewhere)).id for _ in range(4)]]

    first = (await api.get(admin, "/users", limit="2")).json()
    await api.person(of=elsewhere)
    second = (await api.get(admin, "/users", limit="2", cursor=first["next_cursor"])).json()
    third = (await api.get(admin, "/users", limit="2", cursor=second["next_cursor"])).json()

    listed = [item["user_id"] for page in (first, second, third) for item in page["items"]]
    assert listed == [str(each) for each in made[::-1]]
    assert "next_cursor" not in third


async def test_filters_narrow_the_list(api: Api, elsewhere: UUID) -> None:
    admin = await api.person("admin", of=elsewhere)
    advisor = await api.person("advisor", of=elsewhere, email="Filtered.One@example.org")
    student = await api.person(of=elsewhere, status="disabled")
    await api.person(of=elsewhere, status="erased")

    async def found(who: Person, **query: str) -> set[str]:
        return {item["user_id"] for item in (await api.get(who, "/users", **query)).json()["items"]}

    mine = {str(each.id) for each in (admin, advisor, student)}
    assert await found(admin) == mine
    assert await found(admin, role="advisor") == {str(advisor.id)}
    assert await found(admin, status="disabled") == {str(student.id)}
    assert await found(admin, email="filtered.one@EXAMPLE.org") == {str(advisor.id)}
    assert await found(admin, organization_id=str(api.organization_id)) == set()
    assert await found(await api.person("platform_admin"), organization_id=str(elsewhere)) == {str(admin.id)}


@pytest.mark.parametrize(
    "query",
    [{"role": "owner"}, {"status": "erased"}, {"email": "%"}, {"limit": "0"}, {"cursor": "x"}, {"unknown": "1"}],
    ids=str,
)
async def test_an_invalid_filter_is_400(api: Api, admin: Person, query: dict[str, str]) -> None:
    assert (await api.get(admin, "/users", **query)).status_code == 400


async def hold(api: Api, who: Person, of: Person, credential_id: object, earned_at: object = "2026-01-31") -> int:
    body = {"credential_id": str(credential_id), "earned_at": earned_at}
    path = f"/api/v1/users/{of.id}/credentials"
    return (await api.client.post(path, json=body, headers=who.headers)).status_code


async def test_a_held_credential_is_recorded_once(api: Api, learner: Person) -> None:
    advisor = await api.person("advisor")
    first, second = api.credentials[:2]

    statuses = [
        await hold(api, learner, learner, first),
        await hold(api, learner, learner, first),
        await hold(api, advisor, learner, second, "2025-12-01"),
    ]

    assert statuses == [201, 409, 201]
    items = (await api.get(learner, f"/users/{learner.id}/credentials")).json()["items"]
    assert [(item["credential_id"], item["earned_at"]) for item in items] == [
        (str(second), "2025-12-01"),
        (str(first), "2026-01-31"),
    ]
    assert all(item["title"] for item in items)
    assert [(action, actor) for action, actor, _ in await audited(api, learner.id)] == [
        ("user.credential_added", learner.id),
        ("user.credential_added", advisor.id),
    ]


async def test_held_credentials_have_pages(api: Api, learner: Person) -> None:
    for credential_id in api.credentials:
        await hold(api, learner, learner, credential_id)
    path = f"/users/{learner.id}/credentials"
    first = (await api.get(learner, path, limit="2")).json()
    second = (await api.get(learner, path, limit="2", cursor=first["next_cursor"])).json()
    listed = [item["credential_id"] for page in (first, second) for item in page["items"]]
    assert listed == [str(each) for each in api.credentials[::-1]]
    assert "next_cursor" not in second


@pytest.mark.parametrize(
    "earned_at", ["2026-02-30", "2026-1-1", "20260101", "2026-01-01T00:00:00Z", 20260101, None, ""]
)
async def test_a_day_that_does_not_exist_is_400(api: Api, learner: Person, earned_at: Any) -> None:
    assert await hold(api, learner, learner, api.credentials[0], earned_at) == 400


async def test_unknown_credentials_and_future_dates_are_rejected(api: Api, learner: Person) -> None:
    to_come = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert await hold(api, learner, learner, uuid4()) == 400
    assert await hold(api, learner, learner, api.credentials[0], to_come) == 400


async def test_nothing_is_recorded_about_a_user_who_is_being_erased(api: Api, admin: Person) -> None:
    person = await api.person()
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == person.id).values(status="erasing"))
        await session.commit()
    assert await hold(api, admin, person, api.credentials[0]) == 410


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
