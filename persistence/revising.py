"""What people do about a result: reviewing an essay, healing it now, running a failed assessment again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.ports import Assessments, Jobs, Results
from domain.assessments.questions import EssayRubric, Item
from domain.assessments.steps import submission_jobs
from domain.errors import InvalidAssessmentState, InvalidInput, NotFound, Problem
from domain.grading.rubrics import rate
from persistence.queries.views import AccessScope, Actor
from persistence.repositories import audit
from persistence.repositories.feedback import check_standing, locked
from persistence.tables import EssayReviewRow

_REFUSED: Final = "The request is not valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A reviewer's levels by criterion; None confirms those of the published score."""

    levels: Mapping[str, str] | None
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewReceipt:
    review_id: UUID
    assessment: Assessment


class Revising:
    """Writes of one transaction; the caller commits, and tells the engine afterwards.

    Raises:
        NotFound: there is no such assessment, or it is not the viewer's.
    """

    def __init__(self, session: AsyncSession, assessments: Assessments, jobs: Jobs, results: Results) -> None:
        self._session = session
        self._assessments = assessments
        self._jobs = jobs
        self._results = results

    async def review(
        self, assessment_id: UUID, question_id: UUID, viewer: AccessScope, reviewer: Actor, judgement: Judgement
    ) -> ReviewReceipt:
        """Stores a person's levels for an essay, with the audit row; the next revision holds them.

        Raises:
            NotFound: as above, or the question is not one of the assessment.
            InvalidAssessmentState: there is no result yet, the item is no answered essay, or its score has no levels
                to confirm.
            InvalidInput: the levels do not fit the rubric; a problem for each criterion.
            Erased: the reviewer is being erased.
        """
        assessment, now = await locked(self._assessments.lock(assessment_id), viewer)
        await check_standing(self._session, reviewer)
        if assessment.status is not AssessmentStatus.COMPLETED:
            raise InvalidAssessmentState(f"Assessment is {assessment.status}, there is nothing to review yet")
        item, rubric = _essay(await self._assessments.items(assessment_id), question_id)
        levels = judgement.levels
        if levels is None:
            levels = await self._published_levels(assessment_id, item.snapshot_id)
        _check_levels(rubric, levels)
        row: dict[str, Any] = {
            "id": uuid4(),
            "assessment_id": assessment_id,
            "question_snapshot_id": item.snapshot_id,
            "reviewer_id": reviewer.id,
            "levels": dict(levels),
            "comment": judgement.comment,
            "created_at": now,
        }
        await self._session.execute(insert(EssayReviewRow), [row])
        if assessment.healing is Healing.STOPPED:  # by an error: what a person decides is tried again all the same
            await self._assessments.save(assessment, assessment.retry_healing(), actor=reviewer.id)
        receipt = ReviewReceipt(review_id=row["id"], assessment=assessment)
        await self._note(receipt, reviewer, question_id, confirmed=judgement.levels is None)
        return receipt

    async def retry(self, assessment_id: UUID, viewer: AccessScope, actor: Actor) -> Assessment:
        """Makes healing due where it was given up or has failed.

        Raises:
            InvalidAssessmentState: there is nothing to heal.
        """
        before, _ = await locked(self._assessments.lock(assessment_id), viewer)
        after = before.retry_healing()
        if after != before:
            await self._assessments.save(before, after, actor=actor.id)
        return after

    async def rerun(self, assessment_id: UUID, viewer: AccessScope, actor: Actor) -> Assessment:
        """Opens another run of a failed assessment, with its jobs.

        Raises:
            InvalidAssessmentState: it has not failed, or it expired without an answer.
        """
        before, _ = await locked(self._assessments.lock(assessment_id), viewer)
        after = before.rerun()
        await self._assessments.save(before, after, actor=actor.id)
        await self._jobs.enqueue(submission_jobs(after, await self._assessments.items(assessment_id)))
        return after

    async def _note(self, receipt: ReviewReceipt, reviewer: Actor, question_id: UUID, *, confirmed: bool) -> None:
        assessment = receipt.assessment
        await audit.record(
            self._session,
            "essay.reviewed",
            "assessment",
            assessment.id,
            organization_id=assessment.organization_id,
            actor_id=reviewer.id,
            actor_role=reviewer.role,
            details={
                "review_id": receipt.review_id,
                "question_id": question_id,
                "revision": assessment.revision,
                "confirmed": confirmed,
            },
        )

    async def _published_levels(self, assessment_id: UUID, snapshot_id: UUID) -> dict[str, str]:
        published = await self._results.published(assessment_id)
        score = next(score for score in published.scores.essays if score.snapshot_id == snapshot_id)
        if score.points is None:
            raise InvalidAssessmentState("The essay has no levels to confirm, because its grader abstained")
        return {rating.criterion: rating.level for rating in score.ratings}


def _essay(items: tuple[Item, ...], question_id: UUID) -> tuple[Item, EssayRubric]:
    item = next((item for item in items if item.question.id == question_id), None)
    if item is None:
        raise NotFound("No such question")
    if not isinstance(item.question.rubric, EssayRubric):
        raise InvalidAssessmentState("Only essays are reviewed; this question is judged by a rule")
    if item.answer is None:
        raise InvalidAssessmentState("The essay was not answered, there is nothing to review")
    return item, item.question.rubric


def _check_levels(rubric: EssayRubric, levels: Mapping[str, str]) -> None:
    """Names the criteria of the rubric only: what a client made up is not repeated."""
    known = {criterion.key for criterion in rubric.criteria}
    try:
        rate(rubric, {key: level for key, level in levels.items() if key in known})
    except InvalidInput as error:
        problems = tuple(Problem(f"levels.{each.field}", each.problem) for each in error.problems)
    else:
        problems = ()
    if levels.keys() - known:
        problems += (Problem("levels", "names what is no criterion of the rubric"),)
    if problems:
        raise InvalidInput(_REFUSED, problems)
