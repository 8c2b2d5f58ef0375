"""Each route that takes an Idempotency-Key has one effect, and replays its first response."""

from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from sqlalchemy import select

from domain.grading.scores import DegradedReason
from persistence.tables import AssessmentRow, EssayReviewRow, IdempotencyKeyRow, WebhookDeliveryRow, WebhookEndpointRow
from tests.api.conftest import Api, Person, levels_of, question_of, response_to
from tests.api.idempotency.repeated_requests import REPLAYED, Request, count, given
from tests.api.partner import TYPES, URL, Partner
from tests.support.builders import ROLE_ID
from tests.support.fake_engine import RecordingDeliveries, RecordingRuns


async def test_a_start_happens_once(api: Api, learner: Person, runs: RecordingRuns) -> None:
    answer = await Request(api, learner, "/assessments/start", {"role_id": str(ROLE_ID)}).send_twice()
    assert answer.status_code == 201
    assert await count(api, AssessmentRow, AssessmentRow.user_id == learner.id) == 1
    assert runs.submitted == []


async def test_answers_are_submitted_once(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    body = {"responses": [response_to(question) for question in started["questions"]], "completed": True}
    answer = await Request(api, learner, f"/assessments/{started['assessment_id']}/responses", body).send_twice()
    assert answer.json()["status"] == "awaiting_async"
    assert [str(each) for each in runs.submitted] == [started["assessment_id"]] * 2


async def test_feedback_is_given_once(api: Api, feedback: Request) -> None:
    answer = await feedback.send_twice()
    assert answer.status_code == 201
    assert await given(api, feedback) == 1


async def test_a_renewed_token_is_the_same_user(feedback: Request) -> None:
    renewed = feedback.api.services.tokens.issue(feedback.person.principal)
    first, second = await feedback.send(), await feedback.send(Authorization=f"Bearer {renewed}")
    assert (first.json(), second.headers.get(REPLAYED)) == (second.json(), "true")


async def test_an_essay_is_reviewed_once(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    await api.submit(learner, started)
    await api.publish(started["assessment_id"])
    essay = question_of(started, "text")
    path = f"/assessments/{started['assessment_id']}/items/{essay['question_id']}/review"
    answer = await Request(api, await api.person("advisor"), path, {"levels": levels_of(essay)}).send_twice()
    assert answer.status_code == 202
    assert await count(api, EssayReviewRow, EssayReviewRow.assessment_id == started["assessment_id"]) == 1
    assert [str(each) for each in runs.revised] == [started["assessment_id"]] * 2


async def test_retry_and_rerun_happen_once(api: Api, learner: Person, runs: RecordingRuns) -> None:
    degraded = str((await api.completed(learner, degraded_reason=DegradedReason.ESSAY_GRADER_LOCAL)).assessment_id)
    failed = (await api.start(await api.person()))["assessment_id"]
    await api.set(failed, status="failed", failure_reason="bug")
    admin = await api.person("admin")
    healing = await Request(api, admin, f"/assessments/{degraded}/retry").send_twice()
    rerun = await Request(api, admin, f"/assessments/{failed}/rerun").send_twice()
    assert (healing.status_code, rerun.status_code, rerun.json()["run"]) == (202, 202, 2)
    assert [str(each) for each in runs.healed_now] == [degraded] * 2
    assert [str(each) for each in runs.submitted[-2:]] == [failed] * 2


async def test_an_endpoint_is_created_once_and_its_secret_shown_once(api: Api) -> None:
    partner = await Partner.of(api)
    request = Request(api, partner.admin, "/webhooks/endpoints", {"url": URL, "event_types": TYPES})
    first, second = await request.send(), await request.send()
    assert second.json() == {name: value for name, value in first.json().items() if name != "secret"}
    assert first.json()["secret"].startswith("whsec_")
    assert await count(api, WebhookEndpointRow, WebhookEndpointRow.organization_id == partner.id) == 1
    assert first.json()["secret"].encode() not in await stored_bodies(api, partner.admin)


async def test_a_secret_is_rotated_once_and_shown_once(api: Api) -> None:
    partner = await Partner.of(api)
    endpoint_id = (await partner.register())["endpoint_id"]
    request = Request(api, partner.admin, f"/webhooks/endpoints/{endpoint_id}/rotate-secret")
    first = await request.send()
    stored = await partner.endpoint_row(endpoint_id)
    second = await request.send()
    assert (second.headers[REPLAYED], "secret" in second.json()) == ("true", False)
    assert await partner.endpoint_row(endpoint_id) == stored
    assert first.json()["secret"].encode() not in await stored_bodies(api, partner.admin)


async def test_deliveries_are_sent_once(api: Api, delivery_runs: RecordingDeliveries) -> None:
    partner = await Partner.of(api)
    endpoint_id = (await partner.register())["endpoint_id"]
    await partner.events(endpoint_id, "dead_letter", minutes_ago=60)
    test = await Request(api, partner.admin, f"/webhooks/endpoints/{endpoint_id}/test").send_twice()
    path = f"/webhooks/deliveries/{test.json()['delivery_id']}/redeliver"
    await Request(api, partner.admin, path).send_twice()
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    recover = Request(api, partner.admin, f"/webhooks/endpoints/{endpoint_id}/recover", {"since": since})
    recovered = await recover.send_twice()
    assert recovered.json()["redelivered"] == 1
    assert await count(api, WebhookDeliveryRow, WebhookDeliveryRow.endpoint_id == endpoint_id) == 3
    assert [str(each.id) for each in delivery_runs.started[:2]] == [test.json()["delivery_id"]] * 2


def test_every_route_that_takes_a_key_says_so(app: FastAPI) -> None:
    taking = {
        operation["operationId"]: operation["responses"].keys()
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    }
    assert taking.keys() >= KEYED
    assert [name for name, statuses in taking.items() if not {"409", "422"} <= statuses] == []


KEYED = {
    "start_assessment",
    "submit_responses",
    "give_feedback",
    "review_essay",
    "retry_healing",
    "rerun_assessment",
    "create_endpoint",
    "test_endpoint",
    "rotate_secret",
    "recover_endpoint",
    "redeliver",
    "create_user",
    "create_organization",
    "add_held_credential",
    "import_credentials",
}


async def stored_bodies(api: Api, person: Person) -> bytes:
    async with api.sessions() as session:
        bodies = select(IdempotencyKeyRow.response_body).where(IdempotencyKeyRow.user_id == person.id)
        return b"\n".join(await session.scalars(bodies))
