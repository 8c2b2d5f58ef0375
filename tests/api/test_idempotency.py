"""Idempotency-Key: one effect, and replays of the first response."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, select, update

from domain.grading.scores import DegradedReason
from persistence.repositories.idempotency import KeyedRequest
from persistence.tables import (
    AssessmentRow,
    EssayReviewRow,
    FeedbackRow,
    IdempotencyKeyRow,
    UserRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
)
from tests.api.conftest import SECRET, Api, Person, client_with, levels_of, question_of, response_to
from tests.api.partner import TYPES, URL, Partner
from tests.support.builders import ROLE_ID
from tests.support.fakes import RecordingDeliveries, RecordingRuns

REPLAYED = "Idempotent-Replayed"


@dataclass
class Request:
    """A request that can be repeated."""

    api: Api
    person: Person
    path: str
    body: Any = None
    key: str = field(default_factory=lambda: f'"{uuid4()}"')

    async def send(self, **headers: str) -> httpx.Response:
        return await self.api.client.post(
            f"/api/v1{self.path}", json=self.body, headers=self.person.headers | {"Idempotency-Key": self.key} | headers
        )

    async def send_twice(self) -> httpx.Response:
        """Send the request twice, check that both responses are equal, and return the first."""
        first, second = await self.send(), await self.send()
        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert (first.headers.get(REPLAYED), second.headers.get(REPLAYED)) == (None, "true")
        return first


@pytest.fixture
async def feedback(api: Api, learner: Person) -> Request:
    publication = await api.completed(learner)
    return Request(api, learner, f"/recommendations/{publication.recommendation_id}/feedback", {"relevance_score": 4})


async def given(api: Api, request: Request) -> int:
    return await count(api, FeedbackRow, FeedbackRow.recommendation_id == request.path.split("/")[2])


async def count(api: Api, row: Any, condition: Any) -> int:
    async with api.sessions() as session:
        return await session.scalar(select(func.count()).select_from(row).where(condition)) or 0


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


async def test_concurrent_requests_with_one_key_have_one_effect(api: Api, feedback: Request) -> None:
    answers = await asyncio.gather(*(feedback.send() for _ in range(12)))
    assert await given(api, feedback) == 1
    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(waiting) == len(answers)
    assert sum(REPLAYED not in answer.headers for answer in done) == 1
    assert len({answer.content for answer in done}) == 1
    assert {(answer.json()["error_code"], answer.headers["Retry-After"]) for answer in waiting} <= {
        ("IDEMPOTENCY_409", "1")
    }


async def test_a_request_whose_key_is_in_use_is_409_with_retry_after(api: Api, feedback: Request) -> None:
    scope = KeyedRequest(
        organization_id=feedback.person.principal.organization_id,
        user_id=feedback.person.id,
        method="POST",
        route=f"/api/v1{feedback.path}",
        key=feedback.key.strip('"'),
        request_hashes={"": ""},
    )
    async with api.uow() as uow:
        await uow.keys.claim(scope)
        twin = await feedback.send()
    assert (twin.status_code, twin.json()["error_code"]) == (409, "IDEMPOTENCY_409")
    assert twin.headers["Retry-After"] == "1"
    assert (await feedback.send()).status_code == 201


@pytest.mark.parametrize("body", [{"relevance_score": 5}, {"relevance_score": 4, "comments": "More"}])
async def test_another_body_is_refused(api: Api, feedback: Request, body: dict[str, Any]) -> None:
    await feedback.send()
    feedback.body = body
    answer = await feedback.send()
    assert (answer.status_code, answer.json()["error_code"]) == (422, "IDEMPOTENCY_422")
    assert await given(api, feedback) == 1


async def test_a_replay_survives_a_new_secret(api: Api, feedback: Request) -> None:
    first = await feedback.send()

    for secret in (
        "a-new-secret-of-32-bytes-or-more-than-that",
        f"a-new-secret-of-32-bytes-or-more-than-that,{SECRET}",
    ):
        again = await _sent_under(api, feedback, secret)
        assert (again.status_code, again.content, again.headers.get(REPLAYED)) == (201, first.content, "true")
    assert await given(api, feedback) == 1


@pytest.mark.parametrize("key_is_stored", [True, False], ids=["this release's row", "an earlier release's row"])
async def test_under_a_new_secret_another_body_is_refused_while_the_old_secret_is_configured(
    api: Api, feedback: Request, *, key_is_stored: bool
) -> None:
    await feedback.send()
    if not key_is_stored:
        async with api.sessions() as session:
            mine = IdempotencyKeyRow.user_id == feedback.person.id
            await session.execute(update(IdempotencyKeyRow).where(mine).values(hash_key_id=None))
            await session.commit()
    secret = f"a-new-secret-of-32-bytes-or-more-than-that,{SECRET}"
    same = await _sent_under(api, feedback, secret)
    feedback.body = {"relevance_score": 5}
    other = await _sent_under(api, feedback, secret)
    assert (same.status_code, other.status_code) == (201, 422)


async def _sent_under(api: Api, request: Request, secret: str) -> httpx.Response:
    """Send the request to another process with this JWT_SECRET."""
    settings = api.services.settings.model_copy(update={"jwt_secret": SecretStr(secret)})
    async with client_with(api, settings=settings) as client:
        return await client.post(
            f"/api/v1{request.path}",
            json=request.body,
            headers=request.person.headers | {"Idempotency-Key": request.key},
        )


async def test_a_key_is_scoped_to_its_user_and_resource(api: Api, feedback: Request) -> None:
    other = await api.person()
    theirs = (await api.completed(other)).recommendation_id
    mine = (await api.completed(feedback.person)).recommendation_id
    await feedback.send()
    answers = [
        await Request(
            api, person, f"/recommendations/{recommendation}/feedback", feedback.body, key=feedback.key
        ).send()
        for person, recommendation in ((other, theirs), (feedback.person, mine))
    ]
    assert [(answer.status_code, REPLAYED in answer.headers) for answer in answers] == [(201, False)] * 2


async def test_quoted_and_bare_are_the_same_key(feedback: Request) -> None:
    await feedback.send()
    feedback.key = feedback.key.strip('"')
    assert (await feedback.send()).headers[REPLAYED] == "true"


@pytest.mark.parametrize(
    "key", ["", '""', '"open', 'shut"', "x" * 256, f'"{"x" * 256}"', "t\tab", "ümlaut", '"a" "b"', '"a\\b"']
)
async def test_an_invalid_key_is_refused(api: Api, feedback: Request, key: str) -> None:
    sent = feedback.person.headers | {"Idempotency-Key": key}
    headers = {name.encode(): value.encode("latin-1") for name, value in sent.items()}
    answer = await api.client.post(f"/api/v1{feedback.path}", json=feedback.body, headers=headers)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "Idempotency-Key")
    assert await given(api, feedback) == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, f'"{"x" * 255}"', "~!#$ %", '"with \\" and \\\\"'])
async def test_a_valid_key_is_accepted(feedback: Request, key: str) -> None:
    feedback.key = key
    await feedback.send_twice()


async def test_two_keys_are_refused(api: Api, feedback: Request) -> None:
    headers = [*feedback.person.headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await api.client.post(f"/api/v1{feedback.path}", json=feedback.body, headers=headers)
    assert answer.status_code == 400


async def test_a_client_error_of_the_effect_is_replayed(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    request = Request(api, learner, "/assessments/start", {"role_id": str(ROLE_ID)})
    refused = await request.send_twice()
    assert (refused.status_code, refused.json()["error_code"]) == (409, "ASSESSMENT_409")
    await api.set(started["assessment_id"], status="failed", failure_reason="expired")
    assert (await request.send()).content == refused.content


async def test_the_refusal_of_an_expired_assessment_is_replayed(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    await api.send(learner, started["assessment_id"], response_to(started["questions"][0]))
    await api.set(started["assessment_id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    body = {"responses": [response_to(started["questions"][1])]}
    late = await Request(api, learner, f"/assessments/{started['assessment_id']}/responses", body).send_twice()
    assert late.status_code == 409
    status = (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()["status"]
    assert status == "awaiting_async"
    assert [str(each) for each in runs.submitted] == [started["assessment_id"]]


async def test_a_request_refused_before_its_effect_may_be_corrected(api: Api, feedback: Request) -> None:
    right, feedback.body = feedback.body, {"relevance_score": 6}
    assert (await feedback.send()).status_code == 400
    feedback.body = right
    assert (await feedback.send()).status_code == 201
    assert await given(api, feedback) == 1


async def test_a_replay_starts_the_run_that_a_crash_left_unstarted(
    api: Api, learner: Person, runs: RecordingRuns
) -> None:
    started = await api.start(learner)
    body = {"responses": [response_to(question) for question in started["questions"]], "completed": True}
    request = Request(api, learner, f"/assessments/{started['assessment_id']}/responses", body)
    runs.down = True
    first = await request.send()
    runs.down = False
    again = await request.send()
    assert "unavailable" in first.json()["message"]
    assert again.content == first.content
    assert [str(each) for each in runs.submitted] == [started["assessment_id"]]


async def test_a_replay_does_not_start_a_finished_run(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    body = {"responses": [response_to(question) for question in started["questions"]], "completed": True}
    request = Request(api, learner, f"/assessments/{started['assessment_id']}/responses", body)
    await request.send()
    await api.publish(started["assessment_id"])
    before = list(runs.submitted)
    assert (await request.send()).headers[REPLAYED] == "true"
    assert runs.submitted == before


async def test_a_replay_needs_the_same_permission(api: Api, feedback: Request) -> None:
    await feedback.send()
    anonymous = await api.client.post(
        f"/api/v1{feedback.path}", json=feedback.body, headers={"Idempotency-Key": feedback.key}
    )
    assert anonymous.status_code == 401


async def test_after_24_hours_a_key_is_new(api: Api, feedback: Request) -> None:
    await feedback.send()
    async with api.sessions() as session:
        mine = IdempotencyKeyRow.user_id == feedback.person.id
        expires = (await session.scalars(select(IdempotencyKeyRow.expires_at).where(mine))).one()
        await session.execute(update(IdempotencyKeyRow).where(mine).values(expires_at=datetime.now(UTC)))
        await session.commit()
    assert timedelta(hours=23, minutes=59) < expires - datetime.now(UTC) <= timedelta(hours=24)
    feedback.body = {"relevance_score": 5}
    await feedback.send_twice()
    assert await given(api, feedback) == 2
    assert await count(api, IdempotencyKeyRow, mine) == 1


async def test_no_key_is_stored_for_a_user_being_erased(api: Api, feedback: Request) -> None:
    reviewer = await api.person("advisor")
    feedback.person = reviewer
    await api.get(reviewer, "/me")  # caches the user, so that this process still accepts the token
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == reviewer.id).values(status="erasing"))
        await session.commit()
    answer = await feedback.send()
    assert (answer.status_code, answer.json()["error_code"]) == (410, "ERASED_410")
    assert await given(api, feedback) == 0
    assert await count(api, IdempotencyKeyRow, IdempotencyKeyRow.user_id == reviewer.id) == 0


async def test_without_a_key_no_response_is_stored(api: Api, feedback: Request) -> None:
    await api.client.post(f"/api/v1{feedback.path}", json=feedback.body, headers=feedback.person.headers)
    assert await count(api, IdempotencyKeyRow, IdempotencyKeyRow.user_id == feedback.person.id) == 0


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
