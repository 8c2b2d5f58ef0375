"""The form, scope and lifetime of an Idempotency-Key, and which responses are replayed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from persistence.repositories.idempotency import KeyedRequest
from persistence.tables import IdempotencyKeyRow, UserRow
from tests.api.conftest import SECRET, Api, Person, client_with, response_to
from tests.api.idempotency.repeated_requests import REPLAYED, Request, count, given
from tests.support.builders import ROLE_ID
from tests.support.fake_engine import RecordingRuns


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
