"""Creation of user accounts."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import bcrypt
import httpx
import pytest
import structlog

from tests.api.conftest import Api, Person
from tests.api.users.account_requests import PASSWORD, audited, log_in, patch, stored


def an_address() -> str:
    return f"{uuid4()}@example.org"


def wanted(**changes: Any) -> dict[str, Any]:
    return {"email": an_address(), "password": PASSWORD, "role": "student"} | changes


async def create(api: Api, admin: Person, **changes: Any) -> httpx.Response:
    return await api.client.post("/api/v1/users", json=wanted(**changes), headers=admin.headers)


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


async def test_a_request_that_is_repeated_makes_one_account(api: Api, admin: Person) -> None:
    body, headers = wanted(), admin.headers | {"Idempotency-Key": "make-one"}
    first, again = [await api.client.post("/api/v1/users", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["Idempotent-Replayed"] == "true"
