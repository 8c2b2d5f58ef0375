"""Organizations and their first admins."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from persistence.tables import AuditLogRow, OrganizationRow
from tests.api.conftest import Api, Person

PASSWORD = "correct horse battery staple"


def wanted(**changes: Any) -> dict[str, Any]:
    return {"name": "A college", "admin": {"email": f"{uuid4()}@example.org", "password": PASSWORD}} | changes


async def create(api: Api, who: Person, **changes: Any) -> httpx.Response:
    return await api.client.post("/api/v1/organizations", json=wanted(**changes), headers=who.headers)


@pytest.fixture
async def platform(api: Api) -> Person:
    return await api.person("platform_admin")


async def test_a_new_organization_has_an_admin_who_can_begin(api: Api, platform: Person) -> None:
    body = wanted()

    made = await api.client.post("/api/v1/organizations", json=body, headers=platform.headers)

    organization = made.json()
    assert (made.status_code, organization["name"]) == (201, "A college")
    assert organization["admin"]["role"] == "admin"
    assert organization["admin"]["organization_id"] == organization["organization_id"]
    assert PASSWORD not in made.text
    form = {"username": body["admin"]["email"], "password": PASSWORD}
    token = (await api.client.post("/api/v1/auth/token", data=form)).json()["access_token"]
    users = await api.client.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"})
    assert [item["user_id"] for item in users.json()["items"]] == [organization["admin"]["user_id"]]


async def test_both_are_in_the_organizations_trail(api: Api, platform: Person) -> None:
    organization_id = UUID((await create(api, platform)).json()["organization_id"])
    async with api.sessions() as session:
        row = AuditLogRow
        found = select(row.action, row.actor_id, row.actor_role).where(row.organization_id == organization_id)
        rows = (await session.execute(found.order_by(AuditLogRow.seq))).all()
    assert [tuple(each) for each in rows] == [
        ("organization.created", platform.id, "platform_admin"),
        ("user.created", platform.id, "platform_admin"),
    ]


async def test_a_name_has_one_line_and_one_normal_form(api: Api, platform: Person) -> None:
    made = await create(api, platform, name="  Cafe\u0301\r\nCollege ")

    assert (made.status_code, made.json()["name"]) == (201, "Caf\u00e9 College")


@pytest.mark.parametrize("name", ["\u202egelloC", "A\x1bcollege", "\u0958" * 80])
async def test_a_name_that_would_change_or_exceed_its_place_is_refused(api: Api, platform: Person, name: str) -> None:
    refused = await create(api, platform, name=name)

    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "name")


async def test_without_its_admin_there_is_no_organization(api: Api, platform: Person) -> None:
    email = f"{uuid4()}@example.org"
    await api.person(email=email)
    name = f"College {uuid4()}"

    answer = await create(api, platform, name=name, admin={"email": email, "password": PASSWORD})

    assert (answer.status_code, answer.json()["error_code"]) == (409, "CONFLICT_409")
    async with api.sessions() as session:
        assert not await session.scalar(select(func.count()).where(OrganizationRow.name == name))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "\u200b\u3164"},
        {"name": "x" * 129},
        {"name": "a\0b"},
        {"name": 7},
        {"admin": None},
        {"admin": {"email": "a@example.org"}},
        {"admin": {"email": "nobody", "password": PASSWORD}},
        {"admin": {"email": "a@example.org", "password": PASSWORD, "role": "student"}},
        {"id": "00000000-0000-4000-8000-000000000000"},
    ],
    ids=str,
)
async def test_what_is_not_valid_is_400(api: Api, platform: Person, changes: dict[str, Any]) -> None:
    answer = await create(api, platform, **changes)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


async def test_the_list_has_stable_pages(api: Api, platform: Person) -> None:
    made = [(await create(api, platform)).json()["organization_id"] for _ in range(3)]

    first = (await api.get(platform, "/organizations", limit="2")).json()
    await create(api, platform)
    second = (await api.get(platform, "/organizations", limit="1", cursor=first["next_cursor"])).json()

    listed = [item["organization_id"] for page in (first, second) for item in page["items"]]
    assert listed == made[::-1]


@pytest.mark.parametrize("query", [{"limit": "101"}, {"cursor": "x"}, {"name": "A"}], ids=str)
async def test_an_invalid_query_is_400(api: Api, platform: Person, query: dict[str, str]) -> None:
    assert (await api.get(platform, "/organizations", **query)).status_code == 400
