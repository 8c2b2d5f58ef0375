"""Review an essay, heal a degraded result now, run a failed assessment again."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

from api.services.use_cases import UseCases, item_of, lock_visible
from domain.assessments import submission
from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.questions import EssayRubric, Item
from domain.errors import InvalidAssessmentState, InvalidInput, Problem
from domain.grading.review_queue import ReviewReason, check_claim, check_decision
from domain.grading.rubrics import rate
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.submitted_reviews import SubmittedReview


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A reviewer's level of each criterion. `levels` None confirms the levels of the published score."""

    levels: Mapping[str, str] | None
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewReceipt:
    review_id: UUID
    assessment: Assessment


class ReviewService(UseCases):
    """Use cases of one transaction. The caller commits and then notifies the workflow engine.

    Raises:
        NotFound: the assessment does not exist or is outside the scope.
    """

    async def review(  # noqa: PLR0913  # the essay, the reviewer and the decision
        self,
        assessment_id: UUID,
        question_id: UUID,
        scope: AccessScope,
        reviewer: Actor,
        judgement: Judgement,
        *,
        seen_revision: int | None = None,
    ) -> ReviewReceipt:
        """Store a reviewer's levels of an essay, with the audit row. The next revision uses them.

        The essay leaves the review queue, and the reviewer's claim on it ends. `seen_revision` is the revision that the
        reviewer saw; with it, the reviewer needs a claim on the essay.

        Raises:
            NotFound: as above, or the assessment has no such question.
            InvalidAssessmentState: there is no result yet, the item is not an answered essay, or its score has no
                levels to confirm.
            ItemClaimed: another reviewer has claimed the essay.
            Conflict: with `seen_revision`, as `check_decision` describes.
            InvalidInput: the levels do not fit the rubric; one problem for each criterion.
            Erased: the reviewer is being erased.
        """
        assessment, now = await lock_visible(self._uow.assessments.lock(assessment_id), scope)
        await self._uow.people.lock_author(reviewer.id)
        if assessment.status is not AssessmentStatus.COMPLETED:
            raise InvalidAssessmentState(f"Assessment is {assessment.status}, there is nothing to review yet")
        item, rubric = _essay(await self._uow.assessments.items(assessment_id), question_id)
        queued = await self._uow.review_claims.close(item.snapshot_id)
        if seen_revision is not None:
            check_decision(queued, reviewer.id, seen_revision=seen_revision, revision=assessment.revision)
        elif queued is not None:
            check_claim(queued.claim, reviewer.id)
        levels = judgement.levels
        if levels is None:
            levels = await self._published_levels(assessment_id, item.snapshot_id)
        _check_levels(rubric, levels)
        review = SubmittedReview(
            id=uuid4(),
            item=item,
            levels=levels,
            comment=judgement.comment,
            audit_sample=queued is not None and ReviewReason.AUDIT_SAMPLE in queued.reasons,
            created_at=now,
        )
        await self._uow.submitted_reviews.add(assessment, review, reviewer)
        if assessment.healing is Healing.STOPPED:  # an error stopped later revisions; a review asks for one more
            await self._uow.assessments.save(assessment, assessment.retry_healing(), actor=reviewer.id)
        confirmed = judgement.levels is None
        await self._uow.submitted_reviews.record(assessment, review, reviewer, confirmed=confirmed)
        return ReviewReceipt(review_id=review.id, assessment=assessment)

    async def heal_now(self, assessment_id: UUID, scope: AccessScope, actor: Actor) -> Assessment:
        """Make healing due, also after it stopped or failed.

        Raises:
            InvalidAssessmentState: there is nothing to heal.
        """
        before, _ = await lock_visible(self._uow.assessments.lock(assessment_id), scope)
        after = before.retry_healing()
        if after != before:
            await self._uow.assessments.save(before, after, actor=actor.id)
        return after

    async def rerun(self, assessment_id: UUID, scope: AccessScope, actor: Actor) -> Assessment:
        """Start the next run of a failed assessment and enqueue its jobs.

        Raises:
            InvalidAssessmentState: the assessment has not failed, or it expired without an answer.
        """
        before, _ = await lock_visible(self._uow.assessments.lock(assessment_id), scope)
        after = before.rerun()
        await submission.submit(
            self._uow, before, after, await self._uow.assessments.items(assessment_id), actor=actor.id
        )
        return after

    async def _published_levels(self, assessment_id: UUID, snapshot_id: UUID) -> dict[str, str]:
        published = await self._uow.results.published(assessment_id)
        score = next(score for score in published.scores.essays if score.snapshot_id == snapshot_id)
        if score.points is None:
            raise InvalidAssessmentState("The essay has no levels to confirm, because its grader abstained")
        return {rating.criterion: rating.level for rating in score.ratings}


def _essay(items: tuple[Item, ...], question_id: UUID) -> tuple[Item, EssayRubric]:
    item = item_of(items, question_id)
    if not isinstance(item.question.rubric, EssayRubric):
        raise InvalidAssessmentState("Only essays are reviewed; this question is scored by a rule")
    if item.answer is None:
        raise InvalidAssessmentState("The essay was not answered, there is nothing to review")
    return item, item.question.rubric


def _check_levels(rubric: EssayRubric, levels: Mapping[str, str]) -> None:
    """Check the levels against the rubric. Problems name only the rubric's criteria and never repeat the input."""
    known = {criterion.key for criterion in rubric.criteria}
    try:
        rate(rubric, {key: level for key, level in levels.items() if key in known})
    except InvalidInput as error:
        problems = tuple(Problem(f"levels.{each.field}", each.problem) for each in error.problems)
    else:
        problems = ()
    if levels.keys() - known:
        problems += (Problem("levels", "names a criterion that is not in the rubric"),)
    if problems:
        raise InvalidInput("The request is not valid", problems)
