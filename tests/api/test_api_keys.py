"""API keys: their routes, limits, expiry and revocation."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from api.security.api_keys import ApiKeyPrincipals
from api.security.authorization import API_KEY_SCOPES, PUBLIC, ROUTE_PERMISSIONS
from domain.errors import Unauthenticated
from domain.tokens import hash_of
from persistence.repositories import api_keys
from persistence.repositories.api_keys import ApiKeyHolder, ApiKeyQueries
from persistence.tables import ApiKeyRow, AuditLogRow, DeniedRequestsRow, UserRow, WebhookEndpointRow
from tests.api.access_walks import WALKS
from tests.api.conftest import Api, Person
from tests.api.partner import Partner

RESULTS, WEBHOOKS = "results:read", "webhooks:manage"
PATH = "/api/v1/api-keys"
ENDPOINT = {"url": "https://partner.example/hooks", "event_types": ["assessment.failed"]}


@dataclass(frozen=True)
class Machine:
    """Create an API key and return its holder."""

    api: Api
    id: UUID
    key: str

    @classmethod
    async def of(cls, api: Api, admin: Person, *scopes: str) -> "Machine":
        made = await create(api, admin, scopes=list(scopes))
        return cls(api, UUID(made["api_key_id"]), made["key"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def get(self, path: str) -> httpx.Response:
        return await self.api.client.get(f"/api/v1{path}", headers=self.headers)

    async def set(self, **columns: Any) -> None:
        """Change the stored key directly, and clear the cache of the API."""
        async with self.api.sessions() as session:
            await session.execute(update(ApiKeyRow).where(ApiKeyRow.id == self.id).values(**columns))
            await session.commit()
        self.api.services.api_keys.forget()


async def create(api: Api, admin: Person, **fields: Any) -> dict[str, Any]:
    body = {"name": "results to our LMS", "scopes": [RESULTS]} | fields
    answer = await api.client.post(PATH, json=body, headers=admin.headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def audited(api: Api, api_key_id: str) -> list[tuple[str, str | None]]:
    """Return the actions on the key and the roles of their actors."""
    row = AuditLogRow
    async with api.sessions() as session:
        found = await session.execute(
            select(row.action, row.actor_role).where(row.resource_id == UUID(api_key_id)).order_by(row.seq)
        )
        return [(action, role) for action, role in found]


@pytest.fixture
async def admin(api: Api) -> Person:
    """An admin of a new organization, which has no other keys."""
    return (await Partner.of(api)).admin


async def test_a_key_is_shown_once_and_stored_as_a_hash(api: Api, admin: Person) -> None:
    made = await create(api, admin)

    listed = (await api.client.get(PATH, headers=admin.headers)).json()["items"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    assert made["key"].startswith(made["prefix"])
    assert len(made["prefix"]) == 12
    async with api.sessions() as session:
        row = (await session.execute(select(ApiKeyRow).where(ApiKeyRow.id == UUID(made["api_key_id"])))).scalar_one()
    assert row.key_hash == hash_of(made["key"])
    assert made["key"][12:] not in repr(vars(row))


async def test_a_key_runs_out_after_ninety_days_unless_another_time_is_asked_for(api: Api, admin: Person) -> None:
    days = {}
    for asked in ({}, {"expires_in_days": 1}, {"expires_in_days": 366}):
        made = await create(api, admin, **asked)
        left = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
        days[asked.get("expires_in_days")] = round(left / timedelta(days=1))

    assert days == {None: 90, 1: 1, 366: 366}


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": [RESULTS, RESULTS]},
        {"expires_in_days": 0},
        {"expires_in_days": 367},
        {"name": ""},
        {"name": " \u200b"},
        {"name": "x" * 65},
    ],
    ids=str,
)
async def test_a_key_without_scopes_a_valid_lifetime_or_a_visible_name_is_rejected(
    api: Api, admin: Person, fields: dict[str, Any]
) -> None:
    body = {"name": "a machine", "scopes": [RESULTS]} | fields

    assert (await api.client.post(PATH, json=body, headers=admin.headers)).status_code == 400


@pytest.mark.parametrize("status", ["disabled", "erasing"])
async def test_an_admin_who_is_no_longer_active_creates_no_key_although_a_process_caches_the_account(
    api: Api, admin: Person, status: str
) -> None:
    await api.get(admin, "/me")  # caches the account
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == admin.id).values(status=status))
        await session.commit()

    refused = await api.client.post(PATH, json={"name": "Reports", "scopes": ["results:read"]}, headers=admin.headers)

    assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED_401")


async def test_a_replayed_creation_makes_no_second_key_and_shows_none(api: Api, admin: Person) -> None:
    headers = admin.headers | {"Idempotency-Key": str(uuid4())}
    body = {"name": "a machine", "scopes": [RESULTS]}

    first, second = [await api.client.post(PATH, json=body, headers=headers) for _ in range(2)]

    assert "key" in first.json()
    assert second.json() == {name: value for name, value in first.json().items() if name != "key"}
    assert len((await api.client.get(PATH, headers=admin.headers)).json()["items"]) == 1


async def test_creating_and_revoking_a_key_are_audited(api: Api, admin: Person) -> None:
    made = await create(api, admin)

    await api.client.delete(f"{PATH}/{made['api_key_id']}", headers=admin.headers)

    assert await audited(api, made["api_key_id"]) == [("api_key.created", "admin"), ("api_key.revoked", "admin")]


async def test_an_organization_has_so_many_keys_at_most(
    api: Api, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_KEYS", 1)
    made = await create(api, admin)
    body = {"name": "one too many", "scopes": [RESULTS]}

    assert (await api.client.post(PATH, json=body, headers=admin.headers)).status_code == 409

    await api.client.delete(f"{PATH}/{made['api_key_id']}", headers=admin.headers)
    assert (await api.client.post(PATH, json=body, headers=admin.headers)).status_code == 201


async def test_a_key_reads_the_results_of_its_organization_and_of_no_other(api: Api) -> None:
    publication = await api.completed(await api.person())
    theirs = await api.completed(await api.person(elsewhere=True))
    machine = await Machine.of(api, await api.person("admin"), RESULTS)

    read = [await machine.get(f"/assessments/{each.assessment_id}/result") for each in (publication, theirs)]

    assert [answer.status_code for answer in read] == [200, 404]
    listed = {each["assessment_id"] for each in (await machine.get("/assessments?limit=100")).json()["items"]}
    assert str(publication.assessment_id) in listed
    assert str(theirs.assessment_id) not in listed


async def test_a_key_manages_endpoints_and_its_acts_carry_its_id(api: Api, admin: Person) -> None:
    machine = await Machine.of(api, admin, WEBHOOKS)
    headers = machine.headers | {"Idempotency-Key": str(uuid4())}

    first, second = [
        await api.client.post("/api/v1/webhooks/endpoints", json=ENDPOINT, headers=headers) for _ in range(2)
    ]

    endpoint_id = UUID(first.json()["endpoint_id"])
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "secret" not in second.json()
    async with api.sessions() as session:
        acts = select(AuditLogRow.actor_id, AuditLogRow.actor_role).where(AuditLogRow.resource_id == endpoint_id)
        owner = select(WebhookEndpointRow.organization_id).where(WebhookEndpointRow.id == endpoint_id)
        assert [tuple(row) for row in await session.execute(acts)] == [(machine.id, "api_key")]
        assert await session.scalar(owner) == admin.principal.organization_id


@pytest.mark.parametrize("scope", [RESULTS, WEBHOOKS])
async def test_a_scope_opens_its_own_routes_and_no_other(api: Api, admin: Person, scope: str) -> None:
    machine = await Machine.of(api, admin, scope)
    refused = set()
    for name, walk in WALKS.items():
        if ROUTE_PERMISSIONS[name] is not PUBLIC:
            path = walk.path.format_map(defaultdict(lambda: str(uuid4())))
            answer = await api.client.request(walk.method, path, headers=machine.headers)
            refused |= {name} if answer.status_code == 403 else set()

    ours = {name for name, needed in API_KEY_SCOPES.items() if needed == scope}
    assert {name for name in WALKS if ROUTE_PERMISSIONS[name] is not PUBLIC} - refused == ours


async def test_a_refusal_names_the_scopes_of_the_key_and_no_role(api: Api, admin: Person) -> None:
    machine = await Machine.of(api, admin, RESULTS)

    refused = await machine.get("/me")

    assert refused.json()["message"] == "The scopes of this API key do not allow this route"


async def test_refusals_of_a_key_are_counted(api: Api, admin: Person) -> None:
    machine = await Machine.of(api, admin, RESULTS)

    for _ in range(2):
        assert (await machine.get("/users")).status_code == 403

    async with api.sessions() as session:
        count = select(func.sum(DeniedRequestsRow.count)).where(DeniedRequestsRow.user_id == machine.id)
        assert await session.scalar(count) == 2


async def test_a_revoked_key_is_refused_at_once_and_not_listed(api: Api, admin: Person) -> None:
    machine = await Machine.of(api, admin, RESULTS)
    assert (await machine.get("/assessments")).status_code == 200

    revoked = [await api.client.delete(f"{PATH}/{machine.id}", headers=admin.headers) for _ in range(2)]

    assert [answer.status_code for answer in revoked] == [204, 404]
    assert (await machine.get("/assessments")).status_code == 401
    assert (await api.client.get(PATH, headers=admin.headers)).json() == {"items": []}


async def test_an_expired_key_is_refused(api: Api, admin: Person) -> None:
    machine = await Machine.of(api, admin, RESULTS)

    await machine.set(expires_at=datetime.now(UTC) - timedelta(seconds=1))

    assert (await machine.get("/assessments")).status_code == 401


@pytest.mark.parametrize(
    "key", ["mck_", "mck_" + "A" * 43, "mck_" + "A" * 42, "MCK_" + "A" * 43, "mck_" + "\xe9" * 43, "mck_" + "A" * 9000]
)
async def test_a_malformed_key_is_rejected(api: Api, key: str) -> None:
    answer = await api.client.get("/api/v1/assessments", headers={b"Authorization": f"Bearer {key}".encode("latin-1")})

    assert answer.status_code == 401


async def test_a_key_of_another_organization_cannot_be_revoked(api: Api, admin: Person) -> None:
    machine = await Machine.of(api, admin, RESULTS)
    stranger = (await Partner.of(api)).admin

    assert (await api.client.delete(f"{PATH}/{machine.id}", headers=stranger.headers)).status_code == 404
    assert (await machine.get("/assessments")).status_code == 200


async def test_the_last_use_is_noted_once_in_a_while(api: Api, admin: Person) -> None:
    machine = await Machine.of(api, admin, RESULTS)
    use = ApiKeyQueries(api.services.people.api_keys._engine).use

    async def last_used() -> datetime | None:
        async with api.sessions() as session:
            return await session.scalar(select(ApiKeyRow.last_used_at).where(ApiKeyRow.id == machine.id))

    assert await last_used() is None
    await use(hash_of(machine.key))
    first = await last_used()
    await use(hash_of(machine.key))
    assert await last_used() == first is not None

    await machine.set(last_used_at=datetime.now(UTC) - timedelta(minutes=6))
    await use(hash_of(machine.key))
    assert (await last_used() or first) > first


def holder(**changes: Any) -> ApiKeyHolder:
    values: dict[str, Any] = {
        "api_key_id": uuid4(),
        "organization_id": uuid4(),
        "scopes": [RESULTS],
        "expires_at": datetime.now(UTC) + timedelta(days=1),
    }
    return ApiKeyHolder(**(values | changes))


async def test_a_key_is_looked_up_once_in_thirty_seconds() -> None:
    times, looked_up, key = iter((0.0, 10.0, 29.9, 30.1)), 0, holder()

    async def load(_: str) -> ApiKeyHolder:
        nonlocal looked_up
        looked_up += 1
        return key

    keys = ApiKeyPrincipals(load, clock=lambda: next(times))
    for _ in range(4):
        assert (await keys.principal("mck_" + "A" * 43)).user_id == key.api_key_id

    assert looked_up == 2


async def test_a_remembered_key_that_expires_meanwhile_is_refused() -> None:
    async def load(_: str) -> ApiKeyHolder:
        return holder(expires_at=datetime.now(UTC) - timedelta(seconds=1))

    with pytest.raises(Unauthenticated):
        await ApiKeyPrincipals(load).principal("mck_" + "A" * 43)
