"""Opening an appeal of an essay's grade: what can be appealed, until when and how often."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update

from persistence.tables import AppealRow, OrganizationRow, ResponseRow
from tests.api.appeals.appeal_requests import REASON, acts, appeal, completed_of, opened, post, read, refusal
from tests.api.conftest import Api, Person, essay_of, question_of
from tests.support.builders import an_organization
from tests.support.fake_engine import RecordingAppeals


async def test_a_student_appeals_the_grade_of_an_essay(
    api: Api, learner: Person, completed: dict[str, Any], appeal_runs: RecordingAppeals
) -> None:
    document = await opened(api, learner, completed)

    created = datetime.fromisoformat(document["created_at"])
    assert document | {"appeal_id": "", "created_at": "", "answer_due_at": ""} == {
        "appeal_id": "",
        "assessment_id": completed["assessment_id"],
        "question_id": essay_of(completed, 0),
        "role_id": document["role_id"],
        "user_id": str(learner.id),
        "state": "open",
        "reason": REASON,
        "revision": 1,
        "created_at": "",
        "answer_due_at": "",
    }
    assert datetime.fromisoformat(document["answer_due_at"]) == created + timedelta(days=7)
    assert await read(api, learner, document["appeal_id"]) == document
    assert appeal_runs.started == [UUID(document["appeal_id"])]
    assert await acts(api, document["appeal_id"]) == [("appeal.opened", learner.id)]


@pytest.mark.parametrize("reason", ["", " \n", "\u200b", "x" * 2001, None, 7])
async def test_a_reason_is_a_visible_text_of_at_most_2000_characters(
    api: Api, learner: Person, completed: dict[str, Any], reason: object
) -> None:
    answer = await appeal(api, learner, completed, reason=reason)

    assert refusal(answer) == (400, "VALIDATION_400")
    assert [each["field"] for each in answer.json()["details"]] == ["reason"]


async def test_an_item_that_a_rule_scores_cannot_be_appealed(
    api: Api, learner: Person, completed: dict[str, Any]
) -> None:
    answer = await appeal(api, learner, completed, question_id=question_of(completed, "single")["question_id"])

    assert refusal(answer) == (409, "ASSESSMENT_409")
    assert "Only essays can be appealed" in answer.json()["message"]


async def test_an_unknown_question_cannot_be_appealed(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    assert refusal(await appeal(api, learner, completed, question_id=str(uuid4()))) == (404, "NOT_FOUND_404")


async def test_an_essay_without_an_answer_cannot_be_appealed(
    api: Api, learner: Person, completed: dict[str, Any]
) -> None:
    async with api.sessions() as session:
        await session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == UUID(completed["assessment_id"])))
        await session.commit()

    assert refusal(await appeal(api, learner, completed)) == (409, "ASSESSMENT_409")


async def test_without_a_result_there_is_nothing_to_appeal(api: Api, learner: Person) -> None:
    started = await api.start(learner)

    assert refusal(await appeal(api, learner, started)) == (409, "ASSESSMENT_409")


@pytest.mark.parametrize(("days", "status"), [(13.9, 201), (14.1, 409)])
async def test_the_time_for_appeals_ends_after_two_weeks(
    api: Api, learner: Person, completed: dict[str, Any], days: float, status: int
) -> None:
    await api.set(completed["assessment_id"], completed_at=datetime.now(UTC) - timedelta(days=days), released_at=None)

    assert (await appeal(api, learner, completed)).status_code == status


async def test_the_organizations_settings_apply(api: Api) -> None:
    async with api.sessions() as session:
        settings = {"appeal_window_days": 1, "appeal_overdue_days": 2, "appeal_reminder_days": 5, "appeals_per_role": 1}
        organization_id = await an_organization(session)
        await session.execute(
            update(OrganizationRow).where(OrganizationRow.id == organization_id).values(settings=settings)
        )
        await session.commit()
    learner = await api.person(of=organization_id)
    started = await completed_of(api, learner)

    document = await opened(api, learner, started)
    second = await appeal(api, learner, started, 1)
    await api.set(started["assessment_id"], completed_at=datetime.now(UTC) - timedelta(days=2), released_at=None)
    late = await appeal(api, learner, started, 1)

    created, due = (datetime.fromisoformat(document[name]) for name in ("created_at", "answer_due_at"))
    assert due - created == timedelta(days=2)
    assert [refusal(second), refusal(late)] == [(409, "CONFLICT_409"), (409, "ASSESSMENT_409")]
    async with api.sessions() as session:
        row = await session.get_one(AppealRow, UUID(document["appeal_id"]))
    assert row.reminder_due_at == due


async def test_an_item_has_one_open_appeal(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    first = await opened(api, learner, completed)

    answer = await appeal(api, learner, completed)

    assert refusal(answer) == (409, "CONFLICT_409")
    assert answer.json()["details"] == {"appeal_id": first["appeal_id"]}


async def test_simultaneous_appeals_of_an_item_open_one(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    found = await asyncio.gather(*(appeal(api, learner, completed) for _ in range(4)))

    assert sorted(each.status_code for each in found) == [201, 409, 409, 409]


async def test_simultaneous_appeals_do_not_exceed_the_limit_of_the_role(api: Api, learner: Person) -> None:
    attempts = [await completed_of(api, learner) for _ in range(3)]

    found = await asyncio.gather(*(appeal(api, learner, each, place) for each in attempts for place in (0, 1)))

    assert sorted(each.status_code for each in found) == [201, 201, 201, 409, 409, 409]


async def test_a_withdrawn_appeal_counts_towards_the_limit(
    api: Api, learner: Person, completed: dict[str, Any]
) -> None:
    for _ in range(3):
        document = await opened(api, learner, completed)
        await post(api, learner, f"/appeals/{document['appeal_id']}/withdrawal")

    assert refusal(await appeal(api, learner, completed)) == (409, "CONFLICT_409")


async def test_a_repeated_request_opens_one_appeal_and_starts_its_run_again(
    api: Api, learner: Person, completed: dict[str, Any], appeal_runs: RecordingAppeals
) -> None:
    path = f"/assessments/{completed['assessment_id']}/appeals"
    body = {"question_id": essay_of(completed, 0), "reason": REASON}
    key = {"Idempotency-Key": str(uuid4())}
    first, second = [await post(api, learner, path, body, **key) for _ in range(2)]

    assert (second.status_code, second.json()) == (201, first.json())
    assert appeal_runs.started == [UUID(first.json()["appeal_id"])] * 2


async def test_an_appeal_is_stored_while_the_engine_is_down(
    api: Api, learner: Person, completed: dict[str, Any], appeal_runs: RecordingAppeals
) -> None:
    appeal_runs.down = True

    document = await opened(api, learner, completed)

    assert document["state"] == "open"
