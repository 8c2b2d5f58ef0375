"""Cohorts: named groups of an organization's students."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from persistence.tables import AuditLogRow, CohortMemberRow
from tests.api.conftest import Api, Person
from tests.support.builders import an_organization

COHORTS = "/api/v1/cohorts"


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization that only this test uses."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    return organization_id


@pytest.fixture
async def admin(api: Api, organization: UUID) -> Person:
    return await api.person("admin", of=organization)


async def create(api: Api, admin: Person, name: str = "Spring 2026") -> str:
    made = await api.client.post(COHORTS, json={"name": name}, headers=admin.headers)
    assert made.status_code == 201, made.text
    cohort_id: str = made.json()["cohort_id"]
    return cohort_id


async def add(api: Api, admin: Person, cohort_id: str, *members: Person) -> httpx.Response:
    body = {"user_ids": [str(member.id) for member in members]}
    return await api.client.post(f"{COHORTS}/{cohort_id}/members", json=body, headers=admin.headers)


async def remove(api: Api, admin: Person, cohort_id: str, member: Person) -> httpx.Response:
    return await api.client.delete(f"{COHORTS}/{cohort_id}/members/{member.id}", headers=admin.headers)


async def members(api: Api, admin: Person, cohort_id: str) -> set[str]:
    items = (await api.get(admin, f"/cohorts/{cohort_id}/members", limit="100")).json()["items"]
    return {item["user_id"] for item in items}


async def audited(api: Api, about: object) -> list[tuple[str, UUID | None, Any]]:
    row = AuditLogRow
    async with api.sessions() as session:
        found = select(row.action, row.actor_id, row.details).where(row.resource_id == UUID(str(about)))
        rows = await session.execute(found.order_by(row.seq))
    return [(each.action, each.actor_id, each.details) for each in rows]


async def test_a_cohort_is_created_renamed_and_deleted(api: Api, organization: UUID, admin: Person) -> None:
    cohort_id = await create(api, admin, "  Spring \t2026 ")
    await add(api, admin, cohort_id, await api.person(of=organization))

    renamed = await api.client.patch(f"{COHORTS}/{cohort_id}", json={"name": "Autumn"}, headers=admin.headers)
    read = await api.get(admin, f"/cohorts/{cohort_id}")
    deleted = await api.client.delete(f"{COHORTS}/{cohort_id}", headers=admin.headers)

    assert (renamed.json(), renamed.json()["name"], renamed.json()["members"]) == (read.json(), "Autumn", 1)
    assert deleted.status_code == 204
    assert (await api.get(admin, f"/cohorts/{cohort_id}")).status_code == 404
    assert [action for action, *_ in await audited(api, cohort_id)] == [
        "cohort.created",
        "cohort.renamed",
        "cohort.deleted",
    ]


async def test_a_name_is_used_once_in_an_organization(api: Api, admin: Person) -> None:
    await create(api, admin)
    other = await create(api, admin, "Autumn 2026")

    again = await api.client.post(COHORTS, json={"name": "Spring  2026"}, headers=admin.headers)
    renamed = await api.client.patch(f"{COHORTS}/{other}", json={"name": "Spring 2026"}, headers=admin.headers)

    assert [again.status_code, renamed.status_code] == [409, 409]


async def test_cohorts_and_members_have_stable_pages(api: Api, organization: UUID, admin: Person) -> None:
    made = [await create(api, admin, f"Cohort {number}") for number in range(3)]
    students = [await api.person(of=organization) for _ in range(3)]
    await add(api, admin, made[0], *students)

    for path, key, wanted in (
        ("/cohorts", "cohort_id", set(made)),
        (f"/cohorts/{made[0]}/members", "user_id", {str(student.id) for student in students}),
    ):
        first = (await api.get(admin, path, limit="2")).json()
        second = (await api.get(admin, path, limit="2", cursor=first["next_cursor"])).json()
        assert {item[key] for page in (first, second) for item in page["items"]} == wanted
        assert "next_cursor" not in second


async def test_a_member_is_shown_with_name_address_and_external_id(api: Api, organization: UUID, admin: Person) -> None:
    student = await api.person(of=organization, name="Ada Lovelace", external_id="A-1")
    cohort_id = await create(api, admin)
    await add(api, admin, cohort_id, student)

    (shown,) = (await api.get(await api.person("advisor", of=organization), f"/cohorts/{cohort_id}/members")).json()[
        "items"
    ]

    assert shown.pop("added_at")
    assert shown == {
        "user_id": str(student.id),
        "email": f"{student.id}@example.org",
        "name": "Ada Lovelace",
        "external_id": "A-1",
        "status": "active",
    }


async def test_adding_members_again_changes_nothing(api: Api, organization: UUID, admin: Person) -> None:
    student, other = await api.person(of=organization), await api.person(of=organization)
    cohort_id = await create(api, admin)
    await add(api, admin, cohort_id, student)

    added = await add(api, admin, cohort_id, student, other, other)

    assert (added.status_code, added.json()["members"]) == (200, 2)
    assert await audited(api, student.id) == [("user.cohort_added", admin.id, {"cohort_id": cohort_id})]


@pytest.mark.parametrize("who", ["an advisor", "a stranger", "erased soon", "unknown"])
async def test_only_students_of_the_organization_are_added(
    api: Api, organization: UUID, admin: Person, who: str
) -> None:
    student = await api.person(of=organization)
    wrong = {
        "an advisor": await api.person("advisor", of=organization),
        "a stranger": await api.person(),
        "erased soon": await api.person(of=organization, status="erasing"),
        "unknown": Person(uuid4(), student.principal, {}),
    }[who]
    cohort_id = await create(api, admin)

    added = await add(api, admin, cohort_id, student, wrong)

    assert added.status_code == 400
    assert [problem["field"] for problem in added.json()["details"]] == ["user_ids.1"]
    assert await members(api, admin, cohort_id) == set()


async def test_a_removed_student_is_no_member(api: Api, organization: UUID, admin: Person) -> None:
    student = await api.person(of=organization)
    cohort_id = await create(api, admin)
    await add(api, admin, cohort_id, student)

    statuses = [(await remove(api, admin, cohort_id, student)).status_code for _ in range(2)]

    assert statuses == [204, 404]
    assert await members(api, admin, cohort_id) == set()
    assert [action for action, *_ in await audited(api, student.id)] == ["user.cohort_added", "user.cohort_removed"]


async def test_users_are_listed_by_cohort(api: Api, organization: UUID, admin: Person) -> None:
    student = await api.person(of=organization)
    await api.person(of=organization)
    cohort_id = await create(api, admin)
    await add(api, admin, cohort_id, student)

    found = [(await api.get(admin, "/users", cohort_id=each)).json()["items"] for each in (cohort_id, str(uuid4()))]

    assert [[item["user_id"] for item in items] for items in found] == [[str(student.id)], []]


async def test_a_member_being_erased_while_being_added_is_in_no_cohort_afterwards(
    api: Api, organization: UUID, admin: Person
) -> None:
    student = await api.person(of=organization)
    cohort_id = await create(api, admin)

    async def erase() -> None:
        async with api.uow() as uow:
            await uow.erasures.begin(student.id, organization_id=organization, actor_id=admin.id, actor_role="admin")
            await uow.commit()
            await uow.erasures.forget_account(student.id)
            await uow.commit()

    await asyncio.gather(add(api, admin, cohort_id, student), erase())

    async with api.sessions() as session:
        left = await session.scalars(select(CohortMemberRow.user_id).where(CohortMemberRow.user_id == student.id))
        assert left.all() == []


async def test_a_repeated_creation_has_one_effect(api: Api, admin: Person) -> None:
    headers = admin.headers | {"Idempotency-Key": "one-cohort"}
    first, again = [await api.client.post(COHORTS, json={"name": "One"}, headers=headers) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": " "}, {"name": "x" * 201}, {"name": "a\u202eb"}, {"name": 7}], ids=ascii
)
async def test_an_invalid_name_is_400(api: Api, admin: Person, body: dict[str, Any]) -> None:
    assert (await api.client.post(COHORTS, json=body, headers=admin.headers)).status_code == 400


async def test_500_students_are_added_at_once_and_not_more(api: Api, admin: Person) -> None:
    cohort_id = await create(api, admin)
    path = f"{COHORTS}/{cohort_id}/members"
    answers = [
        await api.client.post(path, json={"user_ids": [str(uuid4())] * number}, headers=admin.headers)
        for number in (500, 501)
    ]
    assert [answer.json()["details"][0]["field"] for answer in answers] == ["user_ids.0", "user_ids"]
