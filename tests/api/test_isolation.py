"""Two organizations under random requests with mixed tokens, ids and cursors: nothing of one reaches the other.

The routes, their parameters and their bodies come from the app's own document, so that a new route is included.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select, text

from api.security.authorization import ROUTE_PERMISSIONS, CallerRole
from persistence.tables import OrganizationRow, ReviewItemRow
from tests.api.conftest import Api, Person, question_of
from tests.support import answers
from tests.support.builders import ROLE_ID

SEED = 20_240_731
_OWN_CALLS = re.compile(rb'"route":"[^"]*"|"assessment_id":"[^"]*","reason":"not_found"')
"""Ids that the caller has sent: in a user's export the paths of requests with an idempotency key, in a release of many
results those that do not exist for the caller."""
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
KEYS = ("the-same-key-of-both", "another-key-of-both")


@dataclass
class Organization:
    """An organization: its users, its ids by parameter name, and the text that marks everything it wrote."""

    id: UUID
    marker: str
    actors: list[Person] = field(default_factory=list)
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seen: dict[str, str] = field(default_factory=dict)
    """The ids in responses to it, with the last request that returned each."""

    @property
    def private(self) -> set[str]:
        """Ids that only this organization may use."""
        return {each for name, ids in self.ids.items() if name != "question_id" for each in ids}


@dataclass(frozen=True)
class Operation:
    """An operation of the OpenAPI document. `request` is the schema of its JSON body, if any."""

    method: str
    path: str
    name: str
    parameters: list[dict[str, Any]]
    request: dict[str, Any] | None

    @property
    def answers_members(self) -> bool:
        return bool((ROUTE_PERMISSIONS[self.name] or frozenset(CallerRole)) - {CallerRole.PLATFORM_ADMIN})


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Return all operations that need a token. A stream of events does not end, so it has its own tests."""
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            if each.get("security") and each["operationId"] != "stream_events":
                request = each.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
                yield Operation(method.upper(), path, each["operationId"], each.get("parameters", []), request)


@dataclass
class Chooser:
    """Random values that mostly match their schema. Ids come from any organization."""

    random: random.Random
    schemas: dict[str, Any]
    organizations: tuple[Organization, Organization]
    shared: dict[str, list[str]]
    cursors: list[str] = field(default_factory=list)

    def id(self, name: str, *, spare: bool = False) -> str:
        """Return an id for the parameter's name, else any id. `spare` excludes the ids of the actors."""
        kind = "user_id" if name == "actor_id" else name
        found = [each for organization in self.organizations for each in organization.ids.get(kind, [])]
        found += self.shared.get(kind, []) or ([] if found else self._any())
        if kind == "user_id" and not spare:
            found += [str(actor.id) for organization in self.organizations for actor in organization.actors]
        return self.random.choice([*found, str(uuid4())])

    def value(self, schema: dict[str, Any], name: str, marker: str) -> Any:  # noqa: PLR0911  # a line each
        if "$ref" in schema:
            return self.value(self.schemas[schema["$ref"].rpartition("/")[2]], name, marker)
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self.value(self.random.choice(options), name, marker)
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                return self._object(schema, marker)
            case "array":
                return [self.value(schema["items"], name.removesuffix("s"), marker)]
            case "boolean":
                return self.random.random() < 0.5
            case "integer" | "number":
                return schema.get("minimum", 1)
            case "string":
                return self._text(schema, name, marker)
            case _:
                return None

    def _object(self, schema: dict[str, Any], marker: str) -> dict[str, Any]:
        required = schema.get("required", [])
        properties = schema.get("properties", {}).items()
        wanted = [(key, each) for key, each in properties if key in required or self.random.random() < 0.3]
        return {key: self.value(each, key, marker) for key, each in wanted}

    def _text(self, schema: dict[str, Any], name: str, marker: str) -> str:
        if schema.get("format") == "uuid":
            return self.id(name, spare=True)
        if name == "cursor":
            return self.random.choice([*self.cursors[-20:], "none"])
        right = {
            "date-time": "2026-01-01T00:00:00Z",
            "date": "2026-01-01",
            "password": "a password of some length",
            "email": f"{uuid4().hex}@{marker}.example.org",
            "url": f"https://partner.example/{marker}",
        }
        return right.get(schema.get("format", name), right.get(name, marker))

    def _any(self) -> list[str]:
        return [each for organization in self.organizations for ids in organization.ids.values() for each in ids]


@dataclass
class Mixture:
    """Sends random requests and records the responses to each organization."""

    client: httpx.AsyncClient
    operations: list[Operation]
    chooser: Chooser
    told: Counter[str] = field(default_factory=Counter)

    async def send(self) -> None:
        choice = self.chooser.random
        operation = choice.choice(self.operations)
        ours, theirs = choice.sample(self.chooser.organizations, 2)
        path = {
            each["name"]: self._path_value(each, operation) for each in operation.parameters if each["in"] == "path"
        }
        answer = await self.client.request(
            operation.method,
            operation.path.format_map(path),
            params=self._query(operation),
            json=None if operation.request is None else self.chooser.value(operation.request, "", ours.marker),
            headers=choice.choice(ours.actors).headers | self._key(operation),
        )
        content = answer.content + repr(answer.headers.raw).encode()
        request = f"{operation.method} {answer.request.url} -> {answer.status_code}"
        assert answer.status_code < 500, request
        assert theirs.marker.encode() not in content, request
        assert answer.status_code >= 400 or not theirs.private & set(path.values()), request
        ours.seen |= dict.fromkeys((each.decode() for each in _UUID.findall(_OWN_CALLS.sub(b"", content))), request)
        if answer.status_code < 300:
            self.told[operation.name] += 1
            self._remember(ours, answer)

    def _path_value(self, parameter: dict[str, Any], operation: Operation) -> str:
        if parameter["schema"].get("format") != "uuid":
            return "1"
        return self.chooser.id(parameter["name"], spare=operation.method in {"DELETE", "PATCH"})

    def _query(self, operation: Operation) -> dict[str, str]:
        """Return some of the parameters. A search text may be that of the other organization."""
        marker = self.chooser.random.choice(self.chooser.organizations).marker
        return {
            each["name"]: str(self.chooser.value(each["schema"], each["name"], marker)).lower()
            for each in operation.parameters
            if each["in"] == "query" and (each.get("required") or self.chooser.random.random() < 0.15)
        }

    def _key(self, operation: Operation) -> dict[str, str]:
        keyed = any(each["name"] == "Idempotency-Key" for each in operation.parameters)
        return (
            {"Idempotency-Key": self.chooser.random.choice(KEYS)}
            if keyed and self.chooser.random.random() < 0.2
            else {}
        )

    def _remember(self, ours: Organization, answer: httpx.Response) -> None:
        """Remember cursors and created ids."""
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        body = answer.json() if answer.content and is_json else {}
        if "next_cursor" in body:
            self.chooser.cursors.append(body["next_cursor"])
        if answer.status_code in {201, 202}:
            for name in ours.ids.keys() & body.keys() - {"question_id"}:
                ours.ids[name].append(body[name])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("requests", [2_000, pytest.param(10_000, marks=pytest.mark.load)])
async def test_nothing_of_one_organization_reaches_the_other(api: Api, app: FastAPI, requests: int) -> None:
    both = (await _organization(api), await _organization(api))
    document = app.openapi()
    shared = {"role_id": [str(ROLE_ID)], "credential_id": [str(each) for each in api.credentials]}
    chooser = Chooser(random.Random(SEED), document["components"]["schemas"], both, shared)
    mixture = Mixture(api.client, list(operations(document)), chooser)

    readable = {each.name for each in mixture.operations if each.method == "GET" and each.answers_members}
    for number in range(4 * requests):
        if number >= requests and readable <= mixture.told.keys():
            break
        await mixture.send()

    assert readable - mixture.told.keys() == set()  # each operation returned data at least once
    for ours, theirs in (both, both[::-1]):
        kept = await _kept_ids(api, theirs.id)
        assert {id_: ours.seen[id_] for id_ in ours.seen.keys() & (kept | theirs.private)} == {}
        assert theirs.seen.keys() & kept  # ids that must not appear here appear there


async def _organization(api: Api) -> Organization:
    """Create an organization with a student, an advisor, an admin, an API key, and a resource of every kind."""
    organization = Organization(uuid4(), f"marker{uuid4().hex}")
    async with api.sessions() as session:
        await session.execute(insert(OrganizationRow).values(id=organization.id, name=organization.marker))
        await session.commit()
    for number, role in enumerate(("student", "advisor", "admin")):
        email = f"{number}.{organization.marker}@example.org"
        organization.actors.append(await api.person(role, of=organization.id, email=email))
    student, _, admin = organization.actors
    bystander = await api.person(of=organization.id, email=f"other.{organization.marker}@example.org")
    organization.ids["user_id"].append(str(bystander.id))
    for learner in (student, bystander):
        await _assessments(api, organization, learner)
    await _webhook(api, organization, admin)
    await _api_keys(api, organization, admin)
    await _cohorts(api, organization, admin, bystander)
    await _rescores(api, organization, admin)
    return organization


async def _assessments(api: Api, organization: Organization, learner: Person) -> None:
    """Create a completed assessment and an open one. All their texts contain the marker."""
    ids, marker = organization.ids, organization.marker
    for completed in (True, False):
        started = await api.start(learner)
        responses = [answers.response_to(question, f"{marker} {marker}", chosen=1) for question in started["questions"]]
        sent = await api.send(learner, started["assessment_id"], *responses, completed=completed)
        assert sent.status_code == 202, sent.text
        ids["assessment_id"].append(started["assessment_id"])
        ids["question_id"].append(question_of(started, "text")["question_id"])
        if completed:
            publication = await api.publish(started["assessment_id"], feedback=marker, needs_review=True)
            ids["recommendation_id"].append(str(publication.recommendation_id))
            appeal = {"question_id": ids["question_id"][-1], "reason": marker}
            path = f"/api/v1/assessments/{started['assessment_id']}/appeals"
            opened = await api.client.post(path, json=appeal, headers=learner.headers)
            ids["appeal_id"].append(opened.json()["appeal_id"])
            async with api.sessions() as session:
                essays = select(ReviewItemRow.question_snapshot_id).where(
                    ReviewItemRow.assessment_id == publication.assessment_id
                )
                items = [str(item_id) for item_id in await session.scalars(essays)]
            ids["claim_id"] += items
            ids["item_id"] += items
    path = f"/api/v1/recommendations/{ids['recommendation_id'][-1]}/feedback"
    body = {"relevance_score": 4, "comments": marker}
    assert (await api.client.post(path, json=body, headers=learner.headers)).status_code == 201


async def _webhook(api: Api, organization: Organization, admin: Person) -> None:
    path = "/api/v1/webhooks/endpoints"
    body = {"url": f"https://partner.example/{organization.marker}", "event_types": ["assessment.failed"]}
    endpoint_id = (await api.client.post(path, json=body, headers=admin.headers)).json()["endpoint_id"]
    sent = await api.client.post(f"{path}/{endpoint_id}/test", headers=admin.headers)
    organization.ids["endpoint_id"].append(endpoint_id)
    organization.ids["delivery_id"].append(sent.json()["delivery_id"])


async def _api_keys(api: Api, organization: Organization, admin: Person) -> None:
    """Create two API keys: one for paths, and one that sends requests."""
    made = []
    for scopes in (["results:read"], ["results:read", "webhooks:manage"]):
        body = {"name": organization.marker, "scopes": scopes}
        made.append((await api.client.post("/api/v1/api-keys", json=body, headers=admin.headers)).json())
    for_paths, acting = made
    organization.ids["api_key_id"].append(for_paths["api_key_id"])
    organization.actors.append(replace(admin, headers={"Authorization": f"Bearer {acting['key']}"}))


async def _rescores(api: Api, organization: Organization, admin: Person) -> None:
    """Request three re-scores, because the requests discard some."""
    for _ in range(3):
        body = {"role_id": str(ROLE_ID), "scope": "rules", "reason": organization.marker}
        made = await api.client.post("/api/v1/rescores", json=body, headers=admin.headers)
        organization.ids["rescore_id"].append(made.json()["rescore_id"])


async def _cohorts(api: Api, organization: Organization, admin: Person, student: Person) -> None:
    """Create three cohorts, because the requests delete some, each with a member."""
    for number in range(3):
        body = {"name": f"{organization.marker}{number}"}
        cohort_id = (await api.client.post("/api/v1/cohorts", json=body, headers=admin.headers)).json()["cohort_id"]
        member = {"user_ids": [str(student.id)]}
        await api.client.post(f"/api/v1/cohorts/{cohort_id}/members", json=member, headers=admin.headers)
        organization.ids["cohort_id"].append(cohort_id)


async def _kept_ids(api: Api, organization_id: UUID) -> set[str]:
    """Return the ids of all rows that refer to the organization or one of its assessments."""
    async with api.sessions() as session:
        columns = await session.execute(_OWNED)
        found = {str(organization_id)}
        for table, column in columns.all():
            condition = "= :id" if column == "organization_id" else f"IN ({_ASSESSMENTS})"
            query = f"SELECT id FROM {table} WHERE {column} {condition}"  # noqa: S608  # names of the schema
            found |= set(map(str, await session.scalars(text(query), {"id": organization_id})))
    return found


_ASSESSMENTS = "SELECT id FROM assessments WHERE organization_id = :id"
_OWNED = text("""
    SELECT owner.table_name, owner.column_name FROM information_schema.columns AS owner
    JOIN information_schema.columns AS key
      ON key.table_schema = owner.table_schema AND key.table_name = owner.table_name
    WHERE owner.table_schema = 'public' AND owner.column_name IN ('organization_id', 'assessment_id')
      AND key.column_name = 'id' AND key.data_type = 'uuid'""")
