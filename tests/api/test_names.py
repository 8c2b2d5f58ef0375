"""Names and external ids of users."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from persistence.tables import AuditLogRow, UserRow, WebhookEventRow
from tests.api.conftest import Api, Person
from tests.support.builders import an_organization

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization that only this test uses."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    return organization_id


@pytest.fixture
async def admin(api: Api, organization: UUID) -> Person:
    return await api.person("admin", of=organization, email=f"zz-{uuid4()}@example.org")


async def create(api: Api, admin: Person, **fields: Any) -> httpx.Response:
    body = {"email": f"{uuid4()}@example.org", "password": PASSWORD, "role": "student"} | fields
    return await api.client.post("/api/v1/users", json=body, headers=admin.headers)


async def change(api: Api, admin: Person, person: Person, **fields: Any) -> httpx.Response:
    return await api.client.patch(f"/api/v1/users/{person.id}", json=fields, headers=admin.headers)


async def listed(api: Api, admin: Person, **query: str) -> list[str | None]:
    return [item.get("name") for item in (await api.get(admin, "/users", **query)).json()["items"]]


async def test_a_new_account_has_its_name_and_external_id_in_every_response(api: Api, admin: Person) -> None:
    made = await create(api, admin, name="  Ada\u00a0 Lovelace ", external_id="A-1")

    user = made.json()
    read = (await api.get(admin, f"/users/{user['user_id']}")).json()
    in_list = (await api.get(admin, "/users")).json()["items"][0]
    assert (made.status_code, user["name"], user["external_id"]) == (201, "Ada Lovelace", "A-1")
    assert user == read == in_list


async def test_a_user_reads_their_name_and_external_id(api: Api) -> None:
    named = await api.person(name="Ada Lovelace", external_id=str(uuid4()))
    nameless = await api.person()

    me = (await api.get(named, "/me")).json()

    assert me["name"] == "Ada Lovelace"
    assert "external_id" in me
    assert not {"name", "external_id"} & (await api.get(nameless, "/me")).json().keys()


async def test_a_change_of_name_and_external_id_ends_no_session(api: Api, organization: UUID, admin: Person) -> None:
    person = await api.person(of=organization)

    changed = await change(api, admin, person, name="Ada Lovelace", external_id="A-1")

    assert (changed.json()["name"], changed.json()["external_id"]) == ("Ada Lovelace", "A-1")
    assert (await api.get(person, "/me")).json()["name"] == "Ada Lovelace"
    async with api.sessions() as session:
        assert await session.scalar(select(UserRow.token_version).where(UserRow.id == person.id)) == 0


async def test_a_change_of_role_with_a_name_ends_the_sessions(api: Api, organization: UUID, admin: Person) -> None:
    person = await api.person(of=organization)

    await change(api, admin, person, name="Ada Lovelace", role="advisor")

    assert (await api.get(person, "/me")).status_code == 401


async def test_null_deletes_a_name_and_an_external_id(api: Api, organization: UUID, admin: Person) -> None:
    person = await api.person(of=organization, name="Ada", external_id="A-1")

    changed = await change(api, admin, person, name=None, external_id=None)

    assert changed.status_code == 200
    assert not {"name", "external_id"} & changed.json().keys()


async def test_the_audit_trail_has_the_changed_fields_without_their_values(
    api: Api, organization: UUID, admin: Person
) -> None:
    person = await api.person(of=organization)

    await change(api, admin, person, name="Ada Lovelace", external_id="A-1")

    async with api.sessions() as session:
        details = await session.scalars(select(AuditLogRow.details).where(AuditLogRow.resource_id == person.id))
    assert list(details) == [{"fields": ["external_id", "name"]}]


async def test_an_external_id_is_unique_in_the_organization(api: Api, organization: UUID, admin: Person) -> None:
    await api.person(of=organization, external_id="A-1")
    other = await api.person(of=organization)

    answers = [
        await create(api, admin, external_id="A-1"),
        await change(api, admin, other, external_id="A-1"),
        await create(api, admin, external_id="a-1"),
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 201]
    assert "A-1" not in answers[0].text + answers[1].text


async def test_another_organization_may_use_the_same_external_id(api: Api, organization: UUID) -> None:
    await api.person(of=organization, external_id="A-1")

    made = await create(api, await api.person("admin", elsewhere=True), external_id="A-1")

    assert made.status_code == 201


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": " "},
        {"name": "\u202eada"},
        {"name": "x" * 201},
        {"name": 7},
        {"external_id": ""},
        {"external_id": " A"},
        {"external_id": "A\nB"},
        {"external_id": "x" * 201},
    ],
    ids=ascii,
)
async def test_an_invalid_name_or_external_id_is_400(
    api: Api, organization: UUID, admin: Person, fields: dict[str, Any]
) -> None:
    person = await api.person(of=organization)

    statuses = [
        (await create(api, admin, **fields)).status_code,
        (await change(api, admin, person, **fields)).status_code,
    ]

    assert statuses == [400, 400]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("lovelace", ["Ada Lovelace"]),
        ("VELA", ["Ada Lovelace"]),
        ("lo", ["Ada Lovelace"]),
        ("ve", []),
        ("a", ["Ada Lovelace"]),
        ("王伟", ["王伟"]),
        ("ÉLÈNE", ["Hélène 100%_"]),
        ("0%_", ["Hélène 100%_"]),
        ("%_%", []),
        ("mathematics", ["王伟", "Ada Lovelace"]),
        ("h@m", ["王伟"]),
    ],
)
async def test_a_search_finds_names_and_addresses(
    api: Api, organization: UUID, admin: Person, q: str, found: list[str]
) -> None:
    unique = f"zz-{uuid4()}"
    await api.person(of=organization, name="Ada Lovelace", email=f"{unique}@mathematics.example")
    await api.person(of=organization, name="王伟", email=f"{unique}h@mathematics.example")
    await api.person(of=organization, name="Hélène 100%_", email=f"{unique}@elsewhere.example")

    assert await listed(api, admin, q=q) == found


async def test_a_search_finds_nobody_of_another_organization(api: Api, organization: UUID, admin: Person) -> None:
    name = uuid4().hex
    await api.person(elsewhere=True, name=name)
    await api.person(of=organization)

    assert await listed(api, admin, q=name) == []


async def test_an_external_id_finds_its_user(api: Api, organization: UUID, admin: Person) -> None:
    await api.person(of=organization, name="Ada", external_id="A-1")
    await api.person(of=organization, name="Grace", external_id="A-2")

    assert await listed(api, admin, external_id="A-2") == ["Grace"]


@pytest.mark.parametrize("q", ["", " ", "x" * 201, "\u202e"], ids=ascii)
async def test_an_invalid_search_text_is_400(api: Api, admin: Person, q: str) -> None:
    assert (await api.get(admin, "/users", q=q)).status_code == 400


async def test_events_about_a_user_have_the_external_id(api: Api) -> None:
    external_id = str(uuid4())
    with_id, without = await api.person(external_id=external_id), await api.person()

    publications = [await api.completed(person) for person in (with_id, without)]

    payloads = []
    async with api.sessions() as session:
        for publication in publications:
            event = WebhookEventRow.assessment_id == publication.assessment_id
            payloads.append((await session.scalars(select(WebhookEventRow.payload).where(event))).one())
    assert payloads[0]["data"]["external_id"] == external_id
    assert "external_id" not in payloads[1]["data"]
