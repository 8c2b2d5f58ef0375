"""Links with which a person sets a password: an invitation, or after a forgotten password."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import HttpUrl, SecretStr
from sqlalchemy import func, select, text, update
from structlog.testing import capture_logs

from api.app import build
from api.security.passwords import hash_password
from api.security.rate_limits import RateLimitSettings
from domain.tokens import hash_of, new_token
from persistence.request_database import RequestUnitOfWork
from persistence.tables import AccountLinkRow, AuditLogRow, UserRow
from tests.api.conftest import Api, Person, client_with
from tests.support.fake_engine import RecordingLinkMails
from tests.support.markers import TABLES

OLD, NEW = "correct horse battery staple", "another horse with a battery"
USE = "/api/v1/auth/link"


@pytest.fixture(scope="session")
def old_hash() -> str:
    return hash_password(OLD)


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.person("admin")


@pytest.fixture
async def person(api: Api) -> Person:
    """An invited person, who has no password yet."""
    return await api.person()


async def create(api: Api, admin: Person, user_id: UUID, **more: Any) -> httpx.Response:
    return await api.client.post(f"/api/v1/users/{user_id}/link", headers=admin.headers, json={}, **more)


async def token_for(api: Api, admin: Person, person: Person) -> str:
    answer = await create(api, admin, person.id)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def use(api: Api, token: str, password: str = NEW) -> httpx.Response:
    return await api.client.post(USE, json={"token": token, "new_password": password})


async def log_in(api: Api, person: Person, password: str = NEW) -> httpx.Response:
    form = {"username": f"{person.id}@example.org", "password": password}
    return await api.client.post("/api/v1/auth/token", data=form)


async def link_row(api: Api, person: Person) -> AccountLinkRow | None:
    async with api.sessions() as session:
        found = select(AccountLinkRow).where(AccountLinkRow.user_id == person.id)
        return (await session.scalars(found)).one_or_none()


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 400 and [each["field"] for each in answer.json()["details"]] == ["token"]


async def test_an_invited_person_sets_the_first_password(api: Api, admin: Person, person: Person) -> None:
    created = await create(api, admin, person.id)

    used = await use(api, created.json()["token"])

    assert created.json()["url"] == f"https://api.test/set-password#{created.json()['token']}"
    assert (used.status_code, used.headers["Cache-Control"]) == (204, "no-store")
    assert (await log_in(api, person)).status_code == 200


async def test_a_reset_ends_the_sessions_and_the_old_password(api: Api, admin: Person, old_hash: str) -> None:
    person = await api.person(password_hash=old_hash, must_change_password=True)
    pair = (await log_in(api, person, OLD)).json()

    await use(api, await token_for(api, admin, person))

    refreshed = await api.client.post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    me = await api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert [refreshed.status_code, me.status_code] == [401, 401]
    assert [(await log_in(api, person, each)).status_code for each in (OLD, NEW)] == [401, 200]


async def test_the_password_works_until_the_link_is_used(api: Api, admin: Person, old_hash: str) -> None:
    person = await api.person(password_hash=old_hash)

    await create(api, admin, person.id)

    assert (await log_in(api, person, OLD)).status_code == 200


async def test_a_link_works_once(api: Api, admin: Person, person: Person) -> None:
    token = await token_for(api, admin, person)
    await use(api, token)

    again = await use(api, token, "a third horse with a battery")

    assert refused(again)
    assert (await log_in(api, person)).status_code == 200


async def test_a_new_link_replaces_the_earlier_one(api: Api, admin: Person, person: Person) -> None:
    first, second = [await token_for(api, admin, person) for _ in range(2)]

    assert refused(await use(api, first))
    assert (await use(api, second)).status_code == 204


async def test_an_expired_link_does_not_work(api: Api, admin: Person, person: Person) -> None:
    token = await token_for(api, admin, person)
    async with api.sessions() as session:
        past = func.now() - timedelta(seconds=1)
        await session.execute(update(AccountLinkRow).where(AccountLinkRow.user_id == person.id).values(expires_at=past))
        await session.commit()

    assert refused(await use(api, token))


async def test_a_link_expires_after_24_hours(api: Api, admin: Person, person: Person) -> None:
    await create(api, admin, person.id)

    row = await link_row(api, person)

    assert row is not None
    assert timedelta(hours=24) <= row.expires_at - row.created_at < timedelta(hours=24, seconds=10)


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"role": "advisor"}, {"password": OLD}])
async def test_a_change_of_the_account_ends_its_link(
    api: Api, admin: Person, person: Person, change: dict[str, str]
) -> None:
    token = await token_for(api, admin, person)

    await api.client.patch(f"/api/v1/users/{person.id}", json=change, headers=admin.headers)

    assert refused(await use(api, token))


async def test_a_link_of_an_account_that_is_disabled_and_enabled_stays_dead(
    api: Api, admin: Person, person: Person
) -> None:
    token = await token_for(api, admin, person)
    for status in ("disabled", "active"):
        await api.client.patch(f"/api/v1/users/{person.id}", json={"status": status}, headers=admin.headers)

    assert refused(await use(api, token))


async def test_a_disabled_account_gets_no_link(api: Api, admin: Person) -> None:
    disabled = await api.person(status="disabled")

    assert (await create(api, admin, disabled.id)).status_code == 409


async def test_an_unknown_token_is_refused_like_a_used_one(api: Api, admin: Person, person: Person) -> None:
    token = await token_for(api, admin, person)
    await use(api, token)

    assert (await use(api, new_token())).json() == (await use(api, token)).json()


async def test_a_password_that_is_easy_to_guess_leaves_the_link_valid(api: Api, admin: Person, person: Person) -> None:
    token = await token_for(api, admin, person)

    weak = await use(api, token, f"{person.id}@example.org")

    assert [each["field"] for each in weak.json()["details"]] == ["new_password"]
    assert (await use(api, token)).status_code == 204


async def test_admins_create_links_for_their_own_organization(api: Api, admin: Person) -> None:
    elsewhere = await api.person(elsewhere=True)

    assert (await create(api, admin, elsewhere.id)).status_code == 404
    assert await link_row(api, elsewhere) is None


async def test_a_platform_admin_creates_links_for_admins_only(api: Api, admin: Person, person: Person) -> None:
    platform = await api.person("platform_admin")

    assert [(await create(api, platform, each.id)).status_code for each in (admin, person)] == [201, 404]


async def test_an_admin_cannot_create_a_link_for_the_own_account(api: Api, admin: Person) -> None:
    assert (await create(api, admin, admin.id)).status_code == 400


async def test_creation_and_use_are_audited(api: Api, admin: Person, person: Person) -> None:
    await use(api, await token_for(api, admin, person))

    async with api.sessions() as session:
        row = AuditLogRow
        found = select(row.action, row.actor_id, row.details).where(row.resource_id == person.id).order_by(row.seq)
        rows = [tuple(each) for each in await session.execute(found)]
    assert rows == [
        ("user.link_created", admin.id, {"delivery": "show"}),
        ("user.changed", person.id, {"fields": ["password"]}),
    ]


async def test_the_token_is_neither_stored_nor_logged(api: Api, admin: Person, person: Person) -> None:
    with capture_logs() as events:
        answer = await create(api, admin, person.id)
        token = answer.json()["token"]
        await use(api, token, "short")

    async with api.sessions() as session:
        tables = list(await session.scalars(text(TABLES)))
        rows = [
            str(each)
            for table in tables
            for each in await session.scalars(text(f"SELECT each::text FROM {table} AS each"))  # noqa: S608  # its own names
        ]
    assert [each for each in [*rows, str(events)] if token in each] == []
    assert any(hash_of(token) in each for each in rows)


async def test_a_replayed_creation_has_no_token(api: Api, admin: Person, person: Person) -> None:
    headers = admin.headers | {"Idempotency-Key": str(uuid4())}
    first, second = [
        await api.client.post(f"/api/v1/users/{person.id}/link", json={}, headers=headers) for _ in range(2)
    ]

    assert first.json()["link_id"] == second.json()["link_id"]
    assert (second.headers["Idempotent-Replayed"], "token" in second.json(), "url" in second.json()) == (
        "true",
        False,
        False,
    )


async def test_attempts_are_limited_like_logins(api: Api) -> None:
    app = build(limits=RateLimitSettings(login="1/minute"))
    app.state.services = api.services
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        answers = [await client.post(USE, json={"token": "x", "new_password": NEW}) for _ in range(4)]

    assert [each.status_code for each in answers] == [400, 400, 400, 429]


async def test_an_unknown_token_costs_the_hashing_of_the_password(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    async def hash_(password: str) -> str:
        hashed.append(password)
        return "hash"

    monkeypatch.setattr(api.services.passwords, "hash", hash_)

    assert refused(await use(api, new_token()))
    assert hashed == [NEW]


async def test_an_account_without_a_password_is_created_and_cannot_log_in(api: Api, admin: Person) -> None:
    body = {"email": f"{uuid4()}@example.org", "role": "student"}

    created = await api.client.post("/api/v1/users", json=body, headers=admin.headers)

    login = await api.client.post("/api/v1/auth/token", data={"username": body["email"], "password": NEW})
    assert (created.status_code, login.status_code) == (201, 401)


@pytest.fixture
def mails() -> RecordingLinkMails:
    return RecordingLinkMails()


@pytest.fixture
def mailing(api: Api, mails: RecordingLinkMails) -> dict[str, Any]:
    """The services of an installation that sends mails."""
    changes = {"smtp_url": SecretStr("smtp://mail.example"), "public_url": HttpUrl("https://learn.example/")}
    settings = api.services.settings.model_copy(update=changes)
    return {"settings": settings, "people": replace(api.services.people, link_runs=mails)}


async def send(client: httpx.AsyncClient, admin: Person, person: Person, **headers: str) -> httpx.Response:
    return await client.post(
        f"/api/v1/users/{person.id}/link", json={"delivery": "mail"}, headers=admin.headers | headers
    )


async def test_a_mailed_link_is_started_and_never_shown(
    api: Api, admin: Person, person: Person, mailing: dict[str, Any], mails: RecordingLinkMails
) -> None:
    async with client_with(api, **mailing) as client:
        answer = (await send(client, admin, person)).json()
        state = (await client.get(f"/api/v1/users/{person.id}/link", headers=admin.headers)).json()

    row = await link_row(api, person)
    assert mails.started == [UUID(answer["link_id"])]
    assert ("token" in answer, "url" in answer, state["mail_status"], state["works"]) == (False, False, "pending", True)
    assert row is not None
    assert row.mail is not None
    assert row.token_hashes == []
    assert "https://learn.example/set-password#{token}" in row.mail["text"]


async def test_a_mail_names_the_organization_and_speaks_of_what_the_person_has(
    api: Api, admin: Person, old_hash: str, mailing: dict[str, Any]
) -> None:
    subjects = []
    async with client_with(api, **mailing) as client:
        for person in (await api.person(), await api.person(password_hash=old_hash)):
            await send(client, admin, person)
            row = await link_row(api, person)
            assert row is not None
            assert row.mail is not None
            subjects.append(row.mail["subject"])

    assert "invites you" in subjects[0]
    assert "A new password for" in subjects[1]


async def test_the_host_of_a_request_does_not_choose_the_address_in_a_mail(
    api: Api, admin: Person, person: Person, mailing: dict[str, Any]
) -> None:
    async with client_with(api, **mailing) as client:
        await send(client, admin, person, Host="evil.example")

    row = await link_row(api, person)
    assert row is not None
    assert row.mail is not None
    assert "evil" not in row.mail["text"]


async def test_a_mail_is_accepted_while_the_engine_is_down(
    api: Api, admin: Person, person: Person, mailing: dict[str, Any], mails: RecordingLinkMails
) -> None:
    mails.down = True

    async with client_with(api, **mailing) as client:
        answer = await send(client, admin, person)

    assert (answer.status_code, answer.json()["mail_status"]) == (201, "pending")


async def test_a_link_that_another_request_replaces_at_once_is_created(
    api: Api, admin: Person, person: Person, mailing: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = RequestUnitOfWork.commit

    async def commit_and_replace(uow: RequestUnitOfWork) -> None:
        await commit(uow)
        async with api.sessions() as session:
            await session.execute(update(AccountLinkRow).filter_by(user_id=person.id).values(id=uuid4()))
            await session.commit()

    monkeypatch.setattr(RequestUnitOfWork, "commit", commit_and_replace)
    async with client_with(api, **mailing) as client:
        answer = await send(client, admin, person)

    assert answer.status_code == 201


async def test_without_a_mail_server_no_mail_is_requested(api: Api, admin: Person, person: Person) -> None:
    answer = await api.client.post(f"/api/v1/users/{person.id}/link", json={"delivery": "mail"}, headers=admin.headers)

    assert answer.status_code == 409
    assert await link_row(api, person) is None


async def test_a_used_link_is_gone(api: Api, admin: Person, person: Person) -> None:
    await use(api, await token_for(api, admin, person))

    state = await api.client.get(f"/api/v1/users/{person.id}/link", headers=admin.headers)

    async with api.sessions() as session:
        version = await session.scalar(select(UserRow.token_version).where(UserRow.id == person.id))
    assert (state.status_code, version) == (404, 1)
