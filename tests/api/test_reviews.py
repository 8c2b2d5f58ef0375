"""POST review, retry and rerun."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from domain.assessments.steps import Step
from domain.grading.scores import CriterionRating, DegradedReason
from persistence.tables import AssessmentRow, AsyncJobRow, AuditLogRow, EssayReviewRow, UserRow
from tests.api.conftest import Api, Person, levels_of, question_of, response_to
from tests.support.fake_engine import RecordingRuns

DEGRADED = {"degraded_reason": DegradedReason.ESSAY_GRADER_LOCAL}


@pytest.fixture
async def advisor(api: Api) -> Person:
    return await api.person("advisor")


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.person("admin")


@pytest.fixture
async def started(api: Api, learner: Person) -> dict[str, Any]:
    return await api.start(learner)


@pytest.fixture
async def submitted(api: Api, learner: Person, started: dict[str, Any]) -> dict[str, Any]:
    await api.submit(learner, started)
    return started


@pytest.fixture
async def completed(api: Api, submitted: dict[str, Any]) -> dict[str, Any]:
    await api.publish(submitted["assessment_id"], ratings=ratings_of(question_of(submitted, "text")))
    return submitted


def ratings_of(essay: dict[str, Any]) -> tuple[CriterionRating, ...]:
    """Return the highest levels in the shape of a grader's ratings."""
    return tuple(
        CriterionRating(criterion=key, level=level, points=Decimal(1), rationale="It is.")
        for key, level in levels_of(essay, -1).items()
    )


async def post(api: Api, person: Person, path: str, body: Any = None) -> httpx.Response:
    return await api.client.post(f"/api/v1/assessments/{path}", json=body, headers=person.headers)


async def review(api: Api, person: Person, started: dict[str, Any], question_id: str = "", **body: Any) -> Any:
    """Review the first essay, or the named item."""
    question_id = question_id or question_of(started, "text")["question_id"]
    return await post(api, person, f"{started['assessment_id']}/items/{question_id}/review", body)


async def reviews(api: Api, started: dict[str, Any]) -> Sequence[EssayReviewRow]:
    async with api.sessions() as session:
        found = select(EssayReviewRow).where(EssayReviewRow.assessment_id == UUID(started["assessment_id"]))
        return (await session.scalars(found)).all()


async def last_act(api: Api, started: dict[str, Any]) -> AuditLogRow:
    async with api.sessions() as session:
        rows = await session.scalars(
            select(AuditLogRow)
            .where(AuditLogRow.resource_id == UUID(started["assessment_id"]))
            .order_by(AuditLogRow.seq.desc())
            .limit(1)
        )
        return rows.one()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


# Review


@pytest.mark.parametrize("comment", ["", " \n", "\u200b"])
async def test_a_blank_review_comment_is_stored_as_none(
    api: Api, advisor: Person, completed: dict[str, Any], comment: str
) -> None:
    await review(api, advisor, completed, confirm=True, comment=comment)

    (row,) = await reviews(api, completed)
    assert row.comment is None


async def test_a_review_is_stored_with_its_audit_row_and_the_engine_is_notified(
    api: Api, advisor: Person, completed: dict[str, Any], runs: RecordingRuns
) -> None:
    essay = question_of(completed, "text")
    answer = await review(api, advisor, completed, levels=levels_of(essay), comment="Read twice.")
    assert answer.status_code == 202
    (row,) = await reviews(api, completed)
    assert answer.json() == {
        "review_id": str(row.id),
        "assessment_id": completed["assessment_id"],
        "question_id": essay["question_id"],
        "revision": 1,
    }
    assert (row.reviewer_id, row.levels, row.comment) == (advisor.id, levels_of(essay), "Read twice.")
    assert row.published_revision is None
    act = await last_act(api, completed)
    assert (act.action, act.actor_id, act.actor_role) == ("essay.reviewed", advisor.id, "advisor")
    assert act.details == {
        "review_id": str(row.id),
        "question_id": essay["question_id"],
        "revision": 1,
        "confirmed": False,
    }
    assert runs.revised == [UUID(completed["assessment_id"])]


async def test_confirming_stores_the_published_levels(api: Api, admin: Person, completed: dict[str, Any]) -> None:
    answer = await review(api, admin, completed, confirm=True)
    assert answer.status_code == 202
    (row,) = await reviews(api, completed)
    assert row.levels == levels_of(question_of(completed, "text"), -1)
    act = await last_act(api, completed)
    assert act.details is not None
    assert act.details["confirmed"] is True


async def test_a_review_is_published_even_where_an_error_had_stopped_later_revisions(
    api: Api, advisor: Person, completed: dict[str, Any]
) -> None:
    await api.set(completed["assessment_id"], healing="stopped", failure_reason="CORRUPT_DATA_500")
    await review(api, advisor, completed, confirm=True)
    async with api.uow() as uow:
        found = await uow.reviews.unpublished(after=None, limit=200)
    assert UUID(completed["assessment_id"]) in {assessment.id for assessment in found}


async def test_all_reviews_are_stored(api: Api, advisor: Person, completed: dict[str, Any]) -> None:
    essay = question_of(completed, "text")
    for place in (0, 1):
        await review(api, advisor, completed, levels=levels_of(essay, place))
    kept = sorted(await reviews(api, completed), key=lambda row: row.created_at)
    assert [row.levels for row in kept] == [levels_of(essay, place) for place in (0, 1)]


async def test_an_unavailable_engine_does_not_change_the_response(
    api: Api, advisor: Person, completed: dict[str, Any], runs: RecordingRuns
) -> None:
    runs.down = True
    answer = await review(api, advisor, completed, levels=levels_of(question_of(completed, "text")))
    assert answer.status_code == 202
    assert len(await reviews(api, completed)) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"levels": {}, "confirm": True}, "body"),
        ({"confirm": False}, "body"),
        ({"confirm": 1}, "confirm"),
        ({"confirm": "true"}, "confirm"),
        ({"levels": []}, "levels"),
        ({"confirm": True, "comment": "x" * 4001}, "comment"),
        ({"confirm": True, "comment": "a\0b"}, "body"),
        ({"confirm": True, "points": 4}, "body"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_review_of_another_shape_is_refused_and_stores_nothing(  # noqa: PLR0917  # fixtures and parameters
    api: Api, advisor: Person, completed: dict[str, Any], runs: RecordingRuns, body: dict[str, Any], field: str
) -> None:
    answer = await review(api, advisor, completed, **body)
    assert refusal(answer) == (400, "VALIDATION_400")
    assert answer.json()["details"][0]["field"] == field
    assert await reviews(api, completed) == []
    assert runs.revised == []


async def test_levels_that_do_not_fit_the_rubric_are_refused_by_criterion(
    api: Api, advisor: Person, completed: dict[str, Any]
) -> None:
    levels = levels_of(question_of(completed, "text"))
    missing, wrong, *_ = levels
    del levels[missing]
    answer = await review(api, advisor, completed, levels=levels | {wrong: "sublime", "handwriting": "neat"})
    assert refusal(answer) == (400, "VALIDATION_400")
    problems = {problem["field"]: problem["problem"] for problem in answer.json()["details"]}
    assert problems.keys() == {f"levels.{missing}", f"levels.{wrong}", "levels"}
    assert "handwriting" not in answer.text
    assert await reviews(api, completed) == []


async def test_a_question_of_another_assessment_is_not_found(
    api: Api, advisor: Person, completed: dict[str, Any]
) -> None:
    assert refusal(await review(api, advisor, completed, str(uuid4()), confirm=True)) == (404, "NOT_FOUND_404")


async def test_a_question_scored_by_a_rule_cannot_be_reviewed(
    api: Api, advisor: Person, completed: dict[str, Any]
) -> None:
    question_id = question_of(completed, "single")["question_id"]
    assert refusal(await review(api, advisor, completed, question_id, confirm=True)) == (409, "ASSESSMENT_409")


async def test_an_unanswered_essay_cannot_be_reviewed(
    api: Api, learner: Person, advisor: Person, started: dict[str, Any]
) -> None:
    essay = question_of(started, "text")
    others = [response_to(question) for question in started["questions"] if question != essay]
    await api.send(learner, started["assessment_id"], *others, completed=True)
    await api.publish(started["assessment_id"])
    assert refusal(await review(api, advisor, started, levels=levels_of(essay))) == (409, "ASSESSMENT_409")


async def test_an_abstained_score_cannot_be_confirmed_but_accepts_levels(
    api: Api, advisor: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"], points=None, fraction=None, needs_review=True)
    assert refusal(await review(api, advisor, submitted, confirm=True)) == (409, "ASSESSMENT_409")
    given = await review(api, advisor, submitted, levels=levels_of(question_of(submitted, "text")))
    assert given.status_code == 202


@pytest.mark.parametrize("status", ["in_progress", "awaiting_async", "failed"])
async def test_an_assessment_without_a_result_cannot_be_reviewed(
    api: Api, advisor: Person, submitted: dict[str, Any], status: str
) -> None:
    await api.set(submitted["assessment_id"], status=status, failure_reason="CORRUPT_DATA_500")
    assert refusal(await review(api, advisor, submitted, confirm=True)) == (409, "ASSESSMENT_409")


async def test_an_assessment_of_a_user_being_erased_cannot_be_reviewed(
    api: Api, learner: Person, advisor: Person, completed: dict[str, Any]
) -> None:
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == learner.id).values(status="erasing"))
        await session.commit()
    assert refusal(await review(api, advisor, completed, confirm=True)) == (404, "NOT_FOUND_404")


async def test_scores_name_the_reviewed_essays(api: Api, learner: Person, submitted: dict[str, Any]) -> None:
    await api.publish(submitted["assessment_id"], reviewed=True, flags=("off_topic",))
    scores = (await api.get(learner, f"/assessments/{submitted['assessment_id']}/scores")).json()["scores"]
    essays = [score for score in scores if "flags" in score]
    assert {(score["reviewed"], *score["flags"]) for score in essays} == {(True, "off_topic")}


# Retry


@pytest.mark.parametrize("healing", ["final", "stopped"])
async def test_stopped_or_failed_healing_becomes_due(
    api: Api, advisor: Person, submitted: dict[str, Any], runs: RecordingRuns, healing: str
) -> None:
    assessment_id = submitted["assessment_id"]
    await api.publish(assessment_id, **DEGRADED)
    await api.set(assessment_id, healing=healing)
    answer = await post(api, advisor, f"{assessment_id}/retry")
    assert answer.status_code == 202
    assert answer.json() == {"assessment_id": assessment_id, "revision": 1, "healing": "due"}
    assert (await api.get(advisor, f"/assessments/{assessment_id}")).json()["healing"] == "due"
    act = await last_act(api, submitted)
    assert (act.action, act.actor_id) == ("assessment.healing_due", advisor.id)
    assert runs.healed_now == [UUID(assessment_id)]


async def test_a_retry_starts_due_healing_now(
    api: Api, advisor: Person, submitted: dict[str, Any], runs: RecordingRuns
) -> None:
    await api.publish(submitted["assessment_id"], **DEGRADED)
    answers = [await post(api, advisor, f"{submitted['assessment_id']}/retry") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert runs.healed_now == [UUID(submitted["assessment_id"])] * 2
    assert (await last_act(api, submitted)).action == "assessment.completed"


async def test_each_retry_leaves_its_audit_row(api: Api, advisor: Person, submitted: dict[str, Any]) -> None:
    assessment_id = submitted["assessment_id"]
    await api.publish(assessment_id, **DEGRADED)
    for _ in range(2):
        await api.set(assessment_id, healing="stopped", failure_reason="CORRUPT_DATA_500")
        await post(api, advisor, f"{assessment_id}/retry")
    async with api.sessions() as session:
        retried = select(func.count()).where(
            AuditLogRow.resource_id == UUID(assessment_id), AuditLogRow.action == "assessment.healing_due"
        )
        assert await session.scalar(retried) == 2
        found = select(AssessmentRow.failure_reason).where(AssessmentRow.id == UUID(assessment_id))
        assert await session.scalar(found) is None


async def test_a_result_that_cannot_heal_is_refused(
    api: Api, advisor: Person, submitted: dict[str, Any], runs: RecordingRuns
) -> None:
    await api.publish(submitted["assessment_id"], degraded_reason=DegradedReason.ESSAY_GRADER_NOT_CONFIGURED)
    assert refusal(await post(api, advisor, f"{submitted['assessment_id']}/retry")) == (409, "ASSESSMENT_409")
    assert runs.healed_now == []


async def test_an_assessment_without_a_result_cannot_heal(api: Api, advisor: Person, submitted: dict[str, Any]) -> None:
    assert refusal(await post(api, advisor, f"{submitted['assessment_id']}/retry")) == (409, "ASSESSMENT_409")


# Rerun


async def test_a_failed_assessment_runs_again(
    api: Api, admin: Person, submitted: dict[str, Any], runs: RecordingRuns
) -> None:
    assessment_id = submitted["assessment_id"]
    await api.set(assessment_id, status="failed", failure_reason="CORRUPT_DATA_500")
    runs.submitted.clear()
    answer = await post(api, admin, f"{assessment_id}/rerun")
    assert answer.status_code == 202
    assert answer.json() == {"assessment_id": assessment_id, "status": "awaiting_async", "run": 2}
    view = (await api.get(admin, f"/assessments/{assessment_id}")).json()
    assert (view["status"], "failure_reason" in view) == ("awaiting_async", False)
    act = await last_act(api, submitted)
    assert (act.action, act.actor_id) == ("assessment.rerun", admin.id)
    assert runs.submitted == [UUID(assessment_id)]
    assert await jobs(api, assessment_id, run=2) == dict.fromkeys(Step, "queued")


async def jobs(api: Api, assessment_id: str, run: int) -> dict[str, str]:
    async with api.sessions() as session:
        rows = await session.execute(
            select(AsyncJobRow.job_type, AsyncJobRow.status).where(
                AsyncJobRow.assessment_id == UUID(assessment_id), AsyncJobRow.run == run
            )
        )
        return {row.job_type: row.status for row in rows}


async def test_a_second_rerun_is_refused(
    api: Api, admin: Person, submitted: dict[str, Any], runs: RecordingRuns
) -> None:
    await api.set(submitted["assessment_id"], status="failed", failure_reason="CORRUPT_DATA_500")
    runs.down = True
    answers = [await post(api, admin, f"{submitted['assessment_id']}/rerun") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 409]


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "failed", "failure_reason": "expired"},
        {"status": "in_progress"},
        {"status": "awaiting_async"},
        {"status": "completed", "revision": 1},
    ],
    ids=lambda columns: columns.get("failure_reason", columns["status"]),
)
async def test_only_a_submitted_and_failed_assessment_can_be_rerun(
    api: Api, admin: Person, submitted: dict[str, Any], runs: RecordingRuns, columns: dict[str, Any]
) -> None:
    await api.set(submitted["assessment_id"], **columns)
    runs.submitted.clear()
    assert refusal(await post(api, admin, f"{submitted['assessment_id']}/rerun")) == (409, "ASSESSMENT_409")
    assert runs.submitted == []
