"""The groups of students that fairness compares."""

from typing import Any
from uuid import UUID

import pytest

from persistence.tables import UserRow
from tests.api.conftest import Api, Person


@pytest.fixture
async def admin(api: Api, organization: UUID) -> Person:
    return await api.person("admin", of=organization)


async def change(api: Api, admin: Person, user: Person, **body: Any) -> Any:
    return await api.client.patch(f"/api/v1/users/{user.id}", json=body, headers=admin.headers)


async def stored_profile(api: Api, person: Person) -> Any:
    async with api.sessions() as session:
        row = await session.get(UserRow, person.id)
    return row and row.profile


async def test_an_admin_stores_groups_and_keeps_the_rest_of_the_profile(
    api: Api, admin: Person, organization: UUID
) -> None:
    student = await api.person(of=organization, profile={"name": "Ada"})

    first = await change(api, admin, student, groups={"site": "north"})
    stored = await stored_profile(api, student)
    second = await change(api, admin, student, groups={})

    assert (first.status_code, second.status_code) == (200, 200)
    assert stored == {"name": "Ada", "groups": {"site": "north"}}
    assert await stored_profile(api, student) == {"name": "Ada"}
    assert "groups" not in first.json()


async def test_groups_do_not_end_the_students_session(api: Api, admin: Person, student: Person) -> None:
    await change(api, admin, student, groups={"site": "north"})

    assert (await api.get(student, "/me")).status_code == 200


async def test_the_audit_row_of_groups_names_no_group(api: Api, admin: Person, student: Person) -> None:
    await change(api, admin, student, groups={"religion": "none-of-your-business"})

    trail = await api.get(admin, "/audit-logs", resource_id=str(student.id))

    assert '"groups"' in trail.text
    assert "religion" not in trail.text
    assert "none-of-your-business" not in trail.text


async def test_only_students_have_groups(api: Api, admin: Person, advisor: Person) -> None:
    answer = await change(api, admin, advisor, groups={"site": "north"})

    assert (answer.status_code, await stored_profile(api, advisor)) == (409, None)


@pytest.mark.parametrize(
    "groups",
    [{"Site": "north"}, {"": "north"}, {"site": " "}, {"site": "x" * 65}, {f"a{n}": "x" for n in range(9)}, None, "x"],
)
async def test_groups_that_are_not_valid(api: Api, admin: Person, student: Person, groups: Any) -> None:
    answer = await change(api, admin, student, groups=groups)

    assert (answer.status_code, await stored_profile(api, student)) == (400, None)
