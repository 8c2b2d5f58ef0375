"""Grade an essay again for a re-score, by the current question. The published score does not change."""

from dataclasses import dataclass, replace

from temporalio import activity

from activities.advance_rescore import EssayToRescore
from activities.copies import CopySearch
from activities.essays import essay_of, with_reviews
from activities.score_essay import EssayOutcome, EssayProgress, ScoreEssay
from activities.text_analysis import IN_PROCESS
from domain.assessments.questions import Item
from domain.database import Database
from domain.errors import AnalysisFailed, GraderFailed
from domain.grading.ports import EssayGrader, TextAnalysis
from domain.grading.rubrics import Essay
from domain.grading.scores import DegradedReason, EssayScore
from domain.rescores.comparison import current_item

_DONE = EssayProgress(outcome=EssayOutcome.SCORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The essay with the current question, and its published score."""

    essay: Essay
    published: EssayScore


class RescoreEssay:
    """Grades with a language model. The ledger is that of the assessment: stored replies are not paid for again."""

    def __init__(self, database: Database, grader: ScoreEssay) -> None:
        self._database = database
        self._grader = grader

    @activity.defn
    async def rescore_essay(self, wanted: EssayToRescore) -> EssayProgress:
        """Store the new score, or request one reply and return which one is due next.

        A published score by the same question, model and prompt is kept without a call.

        Raises:
            GraderFailed: the essay cannot be graded.
        """
        work = await _work(self._database, wanted)
        if work is None:
            return _DONE
        if self._grader.is_current(work.published, work.essay.rubric_version):
            return await _stored(self._database, wanted, work.published)
        try:
            outcome = await self._grader.grade(wanted.assessment_id, work.essay, wanted.epoch)
        except AnalysisFailed:
            raise GraderFailed(f"Essay {wanted.essay} could not be graded") from None
        if isinstance(outcome, EssayProgress):
            return outcome
        return await _stored(self._database, wanted, outcome)


class RescoreEssayLocally:
    """Grades with the local grader, where no language model is configured."""

    def __init__(self, database: Database, grader: EssayGrader, analysis: TextAnalysis = IN_PROCESS) -> None:
        self._database = database
        self._grader = grader
        self._copies = CopySearch(database=database, analysis=analysis)

    @activity.defn
    async def rescore_essay_locally(self, wanted: EssayToRescore) -> None:
        """Store the new score. It costs nothing, so it is calculated again after a lost attempt."""
        work = await _work(self._database, wanted)
        if work is None:
            return
        async with self._database.statement() as uow:
            essays = await with_reviews(uow, wanted.assessment_id, [work.essay])
        (score,) = await self._grader.grade(await self._copies.add(wanted.assessment_id, essays))
        reason = score.degraded_reason or DegradedReason.ESSAY_GRADER_NOT_CONFIGURED
        await _stored(self._database, wanted, replace(score, degraded_reason=reason))


async def _work(database: Database, wanted: EssayToRescore) -> _Work | None:
    """Return the essay, or None if its score is stored or not needed any more."""
    async with database.statement() as uow:
        pending = {each.assessment_id: each for each in await uow.rescores.pending(wanted.rescore_id)}
        due = pending.get(wanted.assessment_id)
        if due is None or wanted.essay not in due.ungraded:
            return None
        items = await uow.assessments.items(wanted.assessment_id)
        current = await uow.rescores.questions(await uow.rescores.get(wanted.rescore_id))
        scores = (await uow.results.published(wanted.assessment_id)).scores.essays
    published = next((score for score in scores if score.snapshot_id == wanted.essay), None)
    item = next(item for item in items if item.snapshot_id == wanted.essay)
    asked = current_item(item, current.get(item.question.id), published)
    if published is None or not isinstance(asked, Item):  # the batch's last step reports why
        return None
    return _Work(essay=essay_of([asked], wanted.essay), published=published)


async def _stored(database: Database, wanted: EssayToRescore, score: EssayScore) -> EssayProgress:
    async with database.statement() as uow:
        await uow.rescores.add_essay(wanted.rescore_id, wanted.assessment_id, score)
    return _DONE
