"""Every route as everybody: a route that is not in the table here fails the walk."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from api.access import MAY_USE, Caller
from api.routing import router
from tests.api.conftest import Api, Person, levels_of, question_of, response_to
from tests.builders import ROLE_ID

EVERYBODY = ("nobody", "owner", "other", "advisor", "admin", "far_student", "far_advisor", "far_admin", "platform")


@dataclass(frozen=True)
class Walk:
    """`answers` are the statuses in the order of EVERYBODY; `missing` is that of an id that does not exist."""

    method: str
    path: str
    answers: tuple[int, ...]
    body: Any = None


OPEN = (200,) * 9
ALL = (401, *(200,) * 8)
#               nobody owner other advisor admin far_student far_advisor far_admin platform
SEEN = (401, 200, 404, 200, 200, 404, 404, 404, 403)
OWNER = (401, 200, 404, 403, 403, 404, 403, 403, 403)
STUDENTS = (401, 409, 201, 403, 403, 201, 403, 403, 403)
REVIEWERS = (401, 201, 404, 201, 403, 404, 404, 403, 403)
ORGANIZATION = (401, *(200,) * 7, 403)
ADMINS = (401, 403, 403, 403, 200, 403, 403, 200, 403)


def admins(status: int) -> tuple[int, ...]:
    """Of something of the one organization."""
    return (401, 403, 403, 403, status, 403, 403, 404, 403)


WALKS = {
    "healthz": Walk("GET", "/healthz", OPEN),
    "readyz": Walk("GET", "/readyz", OPEN),
    "create_token": Walk("POST", "/api/v1/auth/token", (400,) * 9, body={}),
    "read_me": Walk("GET", "/api/v1/me", ALL),
    "list_roles": Walk("GET", "/api/v1/roles", ALL),
    "read_role": Walk("GET", f"/api/v1/roles/{ROLE_ID}", ALL),
    "start_assessment": Walk("POST", "/api/v1/assessments/start", STUDENTS, body={"role_id": str(ROLE_ID)}),
    "list_assessments": Walk("GET", "/api/v1/assessments", ORGANIZATION),
    "read_questions": Walk("GET", "/api/v1/assessments/{completed}/questions", OWNER),
    "submit_responses": Walk(
        "POST",
        "/api/v1/assessments/{open}/responses",
        (401, 202, 404, 403, 403, 404, 403, 403, 403),
        body={"responses": "{response}"},
    ),
    "read_status": Walk("GET", "/api/v1/assessments/{completed}", SEEN),
    "read_result": Walk("GET", "/api/v1/assessments/{completed}/result", SEEN),
    "read_scores": Walk("GET", "/api/v1/assessments/{completed}/scores", SEEN),
    "list_revisions": Walk("GET", "/api/v1/assessments/{completed}/revisions", SEEN),
    "read_revision": Walk("GET", "/api/v1/assessments/{completed}/revisions/1", SEEN),
    "review_essay": Walk(
        "POST",
        "/api/v1/assessments/{completed}/items/{essay}/review",
        (401, 403, 403, 202, 202, 403, 404, 404, 403),
        body={"levels": "{levels}"},
    ),
    # Nothing is degraded and nothing has failed, so whoever may ask is told that the state does not allow it.
    "retry_healing": Walk(
        "POST", "/api/v1/assessments/{completed}/retry", (401, 403, 403, 409, 409, 403, 404, 404, 403)
    ),
    "rerun_assessment": Walk(
        "POST", "/api/v1/assessments/{completed}/rerun", (401, 403, 403, 403, 409, 403, 403, 404, 403)
    ),
    "give_feedback": Walk(
        "POST", "/api/v1/recommendations/{recommendation}/feedback", REVIEWERS, body={"relevance_score": 4}
    ),
    "list_credentials": Walk("GET", "/api/v1/catalog/credentials", ALL),
    "read_credential": Walk("GET", "/api/v1/catalog/credentials/{credential}", ALL),
    "create_endpoint": Walk(
        "POST",
        "/api/v1/webhooks/endpoints",
        (401, 403, 403, 403, 201, 403, 403, 201, 403),
        body={"url": "https://partner.example/", "event_types": ["assessment.failed"]},
    ),
    "list_endpoints": Walk("GET", "/api/v1/webhooks/endpoints", ADMINS),
    "read_endpoint": Walk("GET", "/api/v1/webhooks/endpoints/{endpoint}", admins(200)),
    "change_endpoint": Walk("PATCH", "/api/v1/webhooks/endpoints/{endpoint}", admins(200), body={"enabled": True}),
    "delete_endpoint": Walk("DELETE", "/api/v1/webhooks/endpoints/{endpoint}", admins(204)),
    "test_endpoint": Walk("POST", "/api/v1/webhooks/endpoints/{endpoint}/test", admins(202)),
    "rotate_secret": Walk("POST", "/api/v1/webhooks/endpoints/{endpoint}/rotate-secret", admins(200)),
    "recover_endpoint": Walk(
        "POST",
        "/api/v1/webhooks/endpoints/{endpoint}/recover",
        admins(202),
        body={"since": "2026-01-01T00:00:00Z"},
    ),
    "list_deliveries": Walk("GET", "/api/v1/webhooks/deliveries", ADMINS),
    "read_delivery": Walk("GET", "/api/v1/webhooks/deliveries/{delivery}", admins(200)),
    "redeliver": Walk("POST", "/api/v1/webhooks/deliveries/{delivery}/redeliver", admins(202)),
}


def test_every_route_is_walked(app: FastAPI) -> None:
    served = {route.name for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute)}
    assert served == WALKS.keys() == MAY_USE.keys()


def test_a_route_without_a_rule_does_not_start() -> None:
    async def unlisted() -> None: ...

    with pytest.raises(KeyError, match="unlisted"):
        router().get("/unlisted")(unlisted)


@pytest.mark.parametrize("name", WALKS)
async def test_walk(api: Api, name: str) -> None:
    walk = WALKS[name]
    owner = await api.person()
    people = await _people(api, owner)
    publication = await api.completed(owner)
    started = await api.start(owner)
    ids = {
        "completed": str(publication.assessment_id),
        "open": started["assessment_id"],
        "essay": question_of(started, "text")["question_id"],
        "recommendation": str(publication.recommendation_id),
        "credential": str(api.credentials[0]),
        **await _webhook(api),
    }
    answers = {
        who: (
            await api.client.request(
                walk.method,
                walk.path.format_map(ids),
                json=_body(walk, started),
                headers=person.headers if person else {},
            )
        )
        for who, person in people.items()
    }
    statuses = {who: answer.status_code for who, answer in answers.items()}
    assert statuses == dict(zip(EVERYBODY, walk.answers, strict=True))


@pytest.mark.parametrize(
    "name", [name for name, walk in WALKS.items() if "{" in walk.path and name != "read_credential"]
)
async def test_what_is_not_yours_looks_like_what_does_not_exist(api: Api, learner: Person, name: str) -> None:
    walk = WALKS[name]
    stranger = await api.person("student" if Caller.STUDENT in (MAY_USE[name] or ()) else "admin", elsewhere=True)
    publication = await api.completed(learner)
    started = await api.start(learner)
    real = {
        "completed": str(publication.assessment_id),
        "open": started["assessment_id"],
        "essay": question_of(started, "text")["question_id"],
        "recommendation": str(publication.recommendation_id),
        **await _webhook(api),
    }
    answers = [
        await api.client.request(
            walk.method, walk.path.format_map(ids), json=_body(walk, started), headers=stranger.headers
        )
        for ids in (real, dict.fromkeys(real, str(uuid4())))
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()


async def test_a_list_holds_only_what_its_reader_sees(api: Api) -> None:
    here, there = await api.person(), await api.person(elsewhere=True)
    mine, theirs = (await api.start(here))["assessment_id"], (await api.start(there))["assessment_id"]
    readers = {
        "owner": here,
        "classmate": await api.person(),
        "advisor": await api.person("advisor"),
        "far advisor": await api.person("advisor", elsewhere=True),
    }
    seen = {
        who: {
            item["assessment_id"]
            for item in (await api.get(reader, "/assessments", limit="100")).json()["items"]
            if item["assessment_id"] in {mine, theirs}
        }
        for who, reader in readers.items()
    }
    assert seen == {"owner": {mine}, "classmate": set(), "advisor": {mine}, "far advisor": {theirs}}


def _body(walk: Walk, started: dict[str, Any]) -> Any:
    match walk.body:
        case {"responses": _}:
            return {"responses": [response_to(started["questions"][0])]}
        case {"levels": _}:
            return {"levels": levels_of(question_of(started, "text"))}
        case body:
            return body


async def _people(api: Api, owner: Person) -> dict[str, Person | None]:
    return {
        "nobody": None,
        "owner": owner,
        "other": await api.person(),
        "advisor": await api.person("advisor"),
        "admin": await api.person("admin"),
        "far_student": await api.person(elsewhere=True),
        "far_advisor": await api.person("advisor", elsewhere=True),
        "far_admin": await api.person("admin", elsewhere=True),
        "platform": await api.person("platform_admin"),
    }


async def _webhook(api: Api) -> dict[str, str]:
    """An endpoint of the organization, and something sent to it."""
    headers = (await api.person("admin")).headers
    path, body = WALKS["create_endpoint"].path, WALKS["create_endpoint"].body
    endpoint_id = (await api.client.post(path, json=body, headers=headers)).json()["endpoint_id"]
    sent = await api.client.post(f"{path}/{endpoint_id}/test", headers=headers)
    return {"endpoint": endpoint_id, "delivery": sent.json()["delivery_id"]}
