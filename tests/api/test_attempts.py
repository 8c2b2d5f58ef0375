"""A role's rules for attempts: limit, cool-down, and when a student sees right answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text, update

from persistence.tables import AssessmentRow, AsyncJobRow, RoleRow, WebhookEventRow
from tests.api.conftest import Api, Person, response_to
from tests.support.builders import ROLE_ID

START: Final = "/api/v1/assessments/start"
KEY: Final = "Half of it is right."
"""The explanation of every rule score of `a_result`; it represents the right answer."""


@pytest.fixture(autouse=True)
async def default_rules(api: Api) -> AsyncIterator[None]:
    """Reset the role's rules after each test."""
    yield
    await set_rules(api, reveal="always", attempts=None, cool_down_hours=0)


async def set_rules(api: Api, **rules: Any) -> None:
    async with api.sessions() as session:
        await session.execute(update(RoleRow).where(RoleRow.id == ROLE_ID).values(**rules))
        await session.commit()


async def start(api: Api, learner: Person) -> httpx.Response:
    return await api.client.post(START, json={"role_id": str(ROLE_ID)}, headers=learner.headers)


async def own_attempts(api: Api, person: Person) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(person, f"/roles/{ROLE_ID}")).json()["own_attempts"]
    return found


async def ended_at(api: Api, assessment_id: UUID) -> datetime:
    async with api.sessions() as session:
        found = await session.scalar(select(AssessmentRow.submitted_at).where(AssessmentRow.id == assessment_id))
    assert found
    return found


# Limit


async def test_a_start_beyond_the_limit_is_refused(api: Api, learner: Person) -> None:
    await set_rules(api, attempts=2)
    await api.completed(learner)
    await api.completed(learner)

    answer = await start(api, learner)

    assert (answer.status_code, answer.json()["error_code"]) == (409, "NO_ATTEMPTS_LEFT")


async def test_parallel_starts_do_not_pass_the_limit(api: Api, learner: Person) -> None:
    await set_rules(api, attempts=1)

    first = await asyncio.gather(*(start(api, learner) for _ in range(4)))
    started = next(answer.json() for answer in first if answer.status_code == 201)
    await api.submit(learner, started)
    second = await asyncio.gather(*(start(api, learner) for _ in range(4)))

    assert sorted(answer.status_code for answer in first) == [201, 409, 409, 409]
    assert {answer.json()["error_code"] for answer in second} == {"NO_ATTEMPTS_LEFT"}


@pytest.mark.parametrize("reason", ["expired", "CORRUPT_DATA_500"])
async def test_a_failed_attempt_does_not_count(api: Api, learner: Person, reason: str) -> None:
    await set_rules(api, attempts=1)
    failed = (await start(api, learner)).json()
    await api.set(failed["assessment_id"], status="failed", failure_reason=reason)

    assert (await start(api, learner)).status_code == 201


async def test_an_expired_attempt_with_an_answer_counts_although_it_is_still_open(api: Api, learner: Person) -> None:
    await set_rules(api, attempts=1)
    started = (await start(api, learner)).json()
    await api.send(learner, started["assessment_id"], response_to(started["questions"][0]))
    await api.set(started["assessment_id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))

    assert (await start(api, learner)).json()["error_code"] == "NO_ATTEMPTS_LEFT"


async def test_attempts_of_another_student_do_not_count(api: Api, learner: Person) -> None:
    await set_rules(api, attempts=1)
    await api.completed(await api.person())

    assert (await start(api, learner)).status_code == 201


# Cool-down


async def test_a_start_during_the_cool_down_is_refused_and_says_from_when(api: Api, learner: Person) -> None:
    await set_rules(api, cool_down_hours=24)
    publication = await api.completed(learner)

    answer = await start(api, learner)

    end = await ended_at(api, publication.assessment_id) + timedelta(hours=24)
    assert (answer.status_code, answer.json()["error_code"]) == (409, "RETAKE_NOT_YET")
    assert datetime.fromisoformat(answer.json()["details"]["from"]) == end


async def test_a_start_after_the_cool_down_is_allowed(api: Api, learner: Person) -> None:
    await set_rules(api, cool_down_hours=24)
    publication = await api.completed(learner)
    day_ago = datetime.now(UTC) - timedelta(hours=24)
    await api.set(str(publication.assessment_id), submitted_at=day_ago)

    assert (await start(api, learner)).status_code == 201


async def test_the_cool_down_of_an_expired_attempt_starts_at_its_expiry(api: Api, learner: Person) -> None:
    await set_rules(api, cool_down_hours=24)
    started = (await start(api, learner)).json()
    await api.send(learner, started["assessment_id"], response_to(started["questions"][0]))
    expiry = datetime.now(UTC) - timedelta(hours=1)
    await api.set(started["assessment_id"], expires_at=expiry)

    answer = await start(api, learner)

    assert datetime.fromisoformat(answer.json()["details"]["from"]) == expiry + timedelta(hours=24)


async def test_a_start_that_waits_for_a_submission_does_not_pass_the_cool_down(api: Api, learner: Person) -> None:
    await set_rules(api, cool_down_hours=24)
    started = (await start(api, learner)).json()
    submits = (
        update(AssessmentRow)
        .where(AssessmentRow.id == UUID(started["assessment_id"]))
        .values(status="awaiting_async", submitted_at=datetime.now(UTC))
    )
    async with api.sessions() as session:
        await session.execute(submits)
        waiting = asyncio.create_task(start(api, learner))
        await wait_for_a_lock(api)
        await session.commit()

    assert (await waiting).json()["error_code"] == "RETAKE_NOT_YET"


async def wait_for_a_lock(api: Api) -> None:
    """Wait until a statement in this database waits for a lock of another transaction."""
    waits = text(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    async with asyncio.timeout(30), api.sessions() as session:
        while not await session.scalar(waits):
            await asyncio.sleep(0.02)
            await session.rollback()


# Roles


async def test_a_role_shows_its_rules(api: Api, advisor: Person) -> None:
    default = (await api.get(advisor, f"/roles/{ROLE_ID}")).json()
    await set_rules(api, reveal="after_last_attempt", attempts=3, cool_down_hours=12)
    limited = (await api.get(advisor, f"/roles/{ROLE_ID}")).json()

    assert (default["reveal"], default["cool_down_hours"], "attempts" in default) == ("always", 0, False)
    assert (limited["reveal"], limited["cool_down_hours"], limited["attempts"]) == ("after_last_attempt", 12, 3)
    assert "own_attempts" not in limited


@pytest.fixture
async def advisor(api: Api) -> Person:
    return await api.person("advisor")


async def test_a_student_sees_how_many_attempts_are_left_and_when_the_next_may_start(api: Api, learner: Person) -> None:
    await set_rules(api, attempts=2, cool_down_hours=24)
    before = await own_attempts(api, learner)
    publication = await api.completed(learner)
    after = await own_attempts(api, learner)
    listed = (await api.get(learner, "/roles")).json()["items"]

    assert before == {"used": 0, "left": 2}
    assert (after["used"], after["left"]) == (1, 1)
    end = await ended_at(api, publication.assessment_id) + timedelta(hours=24)
    assert datetime.fromisoformat(after["next_start_at"]) == end
    assert {each["role_id"]: each["own_attempts"] for each in listed}[str(ROLE_ID)] == after
    assert all("own_attempts" in each for each in listed)


async def test_no_next_start_is_named_without_attempts_left_during_an_attempt_and_after_the_cool_down(
    api: Api, learner: Person
) -> None:
    publication = await api.completed(learner)
    await set_rules(api, attempts=1, cool_down_hours=24)
    none_left = await own_attempts(api, learner)
    await set_rules(api, attempts=3)
    await api.set(str(publication.assessment_id), submitted_at=datetime.now(UTC) - timedelta(days=2))
    over = await own_attempts(api, learner)
    await start(api, learner)
    during = await own_attempts(api, learner)

    assert (none_left, over, during) == ({"used": 1, "left": 0}, {"used": 1, "left": 2}, {"used": 2, "left": 1})


# Right answers


async def shown(api: Api, person: Person, assessment_id: UUID) -> dict[str, bool]:
    """Return by route whether the person sees an explanation that represents the right answer."""
    paths = ("/result", "/scores", "/revisions/1", "/items")
    answers = {path: await api.get(person, f"/assessments/{assessment_id}{path}") for path in paths}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {path: KEY in answer.text for path, answer in answers.items()}


async def exported(api: Api, learner: Person) -> dict[str, Any]:
    admin = await api.person("admin")
    found: dict[str, Any] = (await api.get(admin, f"/users/{learner.id}/export")).json()
    return found


EVERYWHERE: Final = dict.fromkeys(("/result", "/scores", "/revisions/1", "/items"), True)
NOWHERE: Final = dict.fromkeys(EVERYWHERE, False)


async def test_right_answers_are_shown_by_default(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)

    assert await shown(api, learner, publication.assessment_id) == EVERYWHERE
    assert KEY in json.dumps(await exported(api, learner))


async def test_right_answers_that_are_never_revealed_are_shown_to_staff_only(
    api: Api, learner: Person, advisor: Person
) -> None:
    await set_rules(api, reveal="never", attempts=1)
    publication = await api.completed(learner)

    assert await shown(api, learner, publication.assessment_id) == NOWHERE
    assert await shown(api, advisor, publication.assessment_id) == EVERYWHERE


async def test_an_explanation_without_the_right_answer_gives_the_verdict_and_says_when_the_answer_is_shown(
    api: Api, learner: Person
) -> None:
    publication = await api.completed(learner)
    path = f"/assessments/{publication.assessment_id}/scores"
    await set_rules(api, reveal="never")
    never = (await api.get(learner, path)).json()["scores"]
    await set_rules(api, reveal="after_last_attempt", attempts=2)
    later = (await api.get(learner, path)).json()["scores"]

    texts = [{score["explanation"] for score in scores if "rule" in score} for scores in (never, later)]
    assert texts == [
        {"Partly correct: 50 % of the points. The right answer is not shown for this role."},
        {"Partly correct: 50 % of the points. The right answer is shown after your last attempt."},
    ]


async def test_essays_keep_their_feedback_when_right_answers_are_not_shown(api: Api, learner: Person) -> None:
    await set_rules(api, reveal="never")
    publication = await api.completed(learner)

    scores = (await api.get(learner, f"/assessments/{publication.assessment_id}/scores")).json()["scores"]

    assert {score["feedback"] for score in scores if "feedback" in score} == {"Halfway."}


async def test_right_answers_are_shown_after_the_last_attempt(api: Api, learner: Person) -> None:
    await set_rules(api, reveal="after_last_attempt", attempts=2)
    first = await api.completed(learner)
    after_first = await shown(api, learner, first.assessment_id)
    started = await api.start(learner)
    during_last = await shown(api, learner, first.assessment_id)
    await api.submit(learner, started)
    in_processing = await shown(api, learner, first.assessment_id)
    await api.publish(started["assessment_id"])

    assert (after_first, during_last, in_processing) == (NOWHERE, NOWHERE, NOWHERE)
    assert await shown(api, learner, first.assessment_id) == EVERYWHERE


async def test_the_export_tells_no_right_answers_that_the_student_must_not_see(api: Api, learner: Person) -> None:
    await set_rules(api, reveal="never")
    await api.completed(learner)
    started = await api.start(learner)
    await api.submit(learner, started)
    await score_rules(api, started["assessment_id"])

    document = await exported(api, learner)

    assert document["rule_scores"]
    assert document["result_revisions"]
    assert KEY not in json.dumps(document)


async def score_rules(api: Api, assessment_id: str) -> None:
    """Store the output of the step that scores rules, as the worker does before the result is published."""
    payload = {"scores": [{"explanation": KEY}]}
    async with api.sessions() as session:
        changed = (
            update(AsyncJobRow)
            .where(AsyncJobRow.assessment_id == UUID(assessment_id), AsyncJobRow.job_type == "score_rules")
            .values(status="succeeded", payload=payload)
        )
        await session.execute(changed)
        await session.commit()


async def test_webhook_events_tell_no_right_answers(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)

    async with api.sessions() as session:
        bodies = await session.scalars(
            select(WebhookEventRow.payload).where(WebhookEventRow.assessment_id == publication.assessment_id)
        )
    assert [KEY in json.dumps(body) for body in bodies] == [False]
