"""No route and no event shows a held result to its student or to a partner."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from api.security.authorization import API_KEY_SCOPES, ROUTE_PERMISSIONS, CallerRole
from persistence.tables import RoleRow
from tests.api.conftest import Api, Person
from tests.api.release_desk import Desk, strings_in
from tests.support.builders import ROLE_ID

FEEDBACK = "feedback-that-is-held-7731"
SECRETS = {FEEDBACK, "Half of it is right.", "It closes the gap.", "What a learner does.", "One gap.", "Credential 1"}
"""Texts that only the published result has: feedback, explanation, rationale, snippet, summary and a title."""
RESULT_KEYS = {"scores", "recommendation_items", "traces", "fraction", "rationale", "recommendation_id"}


def readable(app: FastAPI, *, student: bool) -> list[tuple[str, dict[str, Any]]]:
    """Return path and operation of each GET route that the caller may use. Event streams have their own tests."""
    found = []
    for path, methods in app.openapi()["paths"].items():
        operation = methods.get("get")
        if operation is None or "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
            continue
        name = operation["operationId"]
        roles = ROUTE_PERMISSIONS[name]
        if name in API_KEY_SCOPES if not student else roles is None or CallerRole.STUDENT in roles:
            found.append((path, operation))
    return found


async def read_everything(app: FastAPI, desk: Desk, person: Person, ids: dict[str, str], *, student: bool) -> list[str]:
    """Read every route with these ids and return the routes that show a part of the result."""
    leaks = []
    for path, operation in readable(app, student=student):
        names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
        required = [
            each["name"] for each in operation.get("parameters", []) if each["in"] == "query" and each.get("required")
        ]
        answer = await desk.api.client.get(
            path.format_map({name: ids.get(name, ids["assessment_id"]) for name in names}),
            params=dict.fromkeys(required, "data"),
            headers=person.headers,
        )
        assert answer.status_code < 500, path
        found = set(strings_in(answer.json())) if "json" in answer.headers.get("content-type", "") else {answer.text}
        if found & (SECRETS | RESULT_KEYS) or any(secret in answer.text for secret in SECRETS):
            leaks.append(path)
    return leaks


async def ids_of(desk: Desk, publication: Any) -> dict[str, str]:
    deliveries = (await desk.api.get(desk.admin, "/webhooks/deliveries")).json()["items"]
    questions = (await desk.read(desk.student, publication, "/questions")).json()["questions"]
    return {
        "assessment_id": str(publication.assessment_id),
        "recommendation_id": str(publication.recommendation_id),
        "question_id": questions[0]["question_id"],
        "user_id": str(desk.student.id),
        "revision": "1",
        "role_id": str(questions[0]["question_id"]),
        "delivery_id": deliveries[0]["delivery_id"],
        "endpoint_id": deliveries[0]["endpoint_id"],
    }


@pytest.mark.parametrize("reader", ["student", "partner"])
async def test_no_route_shows_a_held_result(api: Api, app: FastAPI, reader: str) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed(feedback=FEEDBACK)
    ids = await ids_of(desk, publication)
    person: Person = getattr(desk, reader)

    held = await read_everything(app, desk, person, ids, student=reader == "student")
    await desk.release(publication)
    released = await read_everything(app, desk, person, ids, student=reader == "student")

    assert held == []
    assert "/api/v1/assessments/{assessment_id}/result" in released


async def test_no_event_shows_a_held_result(api: Api) -> None:
    desk = await Desk.of(api, "doubtful_held")

    publication = await desk.completed(doubtful=True, feedback=FEEDBACK)

    (event,) = await desk.events(publication)
    path = f"/api/v1/assessments/{publication.assessment_id}"
    assert event["type"] == "assessment.held"
    assert event["data"].items() >= {"status": "awaiting_async", "revision": 0}.items()
    assert event["data"].keys() == {"assessment_id", "user_id", "role_id", "status", "revision", "links"}
    assert event["data"]["links"] == {"status": path, "result": f"{path}/result"}


@pytest.mark.parametrize("reader", ["student", "partner"])
async def test_a_held_result_reads_as_in_review(api: Api, reader: str) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed(doubtful=True)
    person: Person = getattr(desk, reader)

    result = await desk.read(person, publication, "/result")
    scores = await desk.read(person, publication, "/scores")
    status = (await desk.read(person, publication)).json()
    (listed,) = (await desk.api.get(person, "/assessments", user_id=str(desk.student.id))).json()["items"]

    expected = {"assessment_id": str(publication.assessment_id), "status": "awaiting_async", "stage": "in_review"}
    assert [(each.status_code, each.json()) for each in (result, scores)] == [(202, expected)] * 2
    assert result.headers["Retry-After"] == "60"
    for view in (status, listed):
        assert (view["status"], view["stage"], view["revision"], view["degraded"]) == (
            "awaiting_async",
            "in_review",
            0,
            False,
        )
        assert not {"completed_at", "released", "released_at"} & view.keys()
    assert listed["needs_review"] is False
    assert (await desk.read(person, publication, "/revisions")).json()["items"] == []
    assert (await desk.read(person, publication, "/revisions/1")).status_code == 404


@pytest.mark.parametrize("reader", ["student", "partner"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "completed"}, False),
        ({"status": "awaiting_async"}, True),
        ({"needs_review": "true"}, False),
        ({"needs_review": "false"}, True),
        ({"degraded": "false"}, True),
        ({"released": "true"}, False),
        ({"released": "false"}, False),
    ],
)
async def test_filters_of_a_list_do_not_reveal_a_held_result(
    api: Api, reader: str, query: dict[str, str], *, found: bool
) -> None:
    desk = await Desk.of(api, "all_held")
    await desk.completed(doubtful=True)

    listed = (await desk.api.get(getattr(desk, reader), "/assessments", **query)).json()["items"]

    assert bool(listed) is found


async def test_an_advisor_reads_a_held_result_as_not_released(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed(doubtful=True)

    result = await desk.read(desk.advisor, publication, "/result")
    scores = await desk.read(desk.advisor, publication, "/scores")
    status = (await desk.read(desk.advisor, publication)).json()
    (revision,) = (await desk.read(desk.advisor, publication, "/revisions")).json()["items"]
    (listed,) = (await desk.api.get(desk.advisor, "/assessments", released="false")).json()["items"]

    assert [(each.status_code, each.json()["released"]) for each in (result, scores)] == [(200, False)] * 2
    assert (status["status"], status["revision"], status["released"]) == ("completed", 1, False)
    assert "released_at" not in status
    assert (revision["revision"], revision["released"]) == (1, False)
    assert (listed["status"], listed["needs_review"], listed["released"]) == ("completed", True, False)


async def test_a_student_cannot_rate_a_held_recommendation(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed()
    path = f"/api/v1/recommendations/{publication.recommendation_id}/feedback"

    rated = [
        (await api.client.post(path, json={"relevance_score": 4}, headers=each.headers)).status_code
        for each in (desk.student, desk.advisor)
    ]

    assert rated == [404, 201]


async def test_a_late_answer_is_refused_as_if_the_result_were_not_there(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    started = await api.start(desk.student)
    await api.submit(desk.student, started)
    answer = {"question_id": started["questions"][0]["question_id"], "answer": "x"}
    before = await api.send(desk.student, started["assessment_id"], answer)
    await api.publish(started["assessment_id"])

    after = await api.send(desk.student, started["assessment_id"], answer)

    assert (after.status_code, after.json()["message"]) == (409, before.json()["message"])


async def test_an_export_has_no_held_result(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed(feedback=FEEDBACK, doubtful=True)
    path = f"/users/{desk.student.id}/export"

    held = (await api.get(desk.admin, path)).json()
    await desk.release(publication)
    released = (await api.get(desk.admin, path)).json()

    result = (
        "rule_scores",
        "essay_scores",
        "result_revisions",
        "recommendations",
        "recommendation_items",
        "rag_traces",
        "metric_snapshots",
    )
    assert [table for table in result if held[table]] == []
    assert [table for table in result if not released[table]] == []
    assert not set(strings_in(held)) & SECRETS
    (assessment,) = held["assessments"]
    assert (assessment["status"], assessment["revision"], assessment["needs_review"]) == ("awaiting_async", 0, False)


async def test_a_held_result_fulfils_a_prerequisite(api: Api) -> None:
    """A prerequisite asks for a finished attempt, not for a score, so the student need not wait for an advisor."""
    desk = await Desk.of(api, "all_held")
    async with api.sessions() as session:
        advanced = await session.scalar(select(RoleRow.id).where(RoleRow.id != ROLE_ID).limit(1))
        await session.execute(update(RoleRow).where(RoleRow.id == advanced).values(prerequisites=[ROLE_ID]))
        await session.commit()
    await desk.completed()

    started = await api.client.post(
        "/api/v1/assessments/start", json={"role_id": str(advanced)}, headers=desk.student.headers
    )

    assert started.status_code == 201
