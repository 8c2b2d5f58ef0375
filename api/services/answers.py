"""Store one answer, unless another tab has changed it since the caller read it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.services.use_cases import UseCases, item_of, lock_visible
from domain.assessments import submission
from domain.assessments.answers import SubmittedAnswer, answer_json, answer_version, check_answers
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.questions import Answer
from domain.errors import AnswerChanged
from persistence.queries.views import AccessScope


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAnswer:
    """The stored answer. `expired`: the assessment had expired, so it was closed and nothing was stored."""

    assessment: Assessment
    saved_at: datetime
    answer: Answer | None = None
    expired: bool = False

    @property
    def version(self) -> str:
        return answer_version(self.answer)


class AnswerService(UseCases):
    async def save(
        self, assessment_id: UUID, question_id: UUID, scope: AccessScope, raw: object, *, expected: str | None
    ) -> SavedAnswer:
        """Store the answer to one question; None as `raw` clears it. `expected`: the version that the caller has read.

        Raises:
            NotFound: the assessment or the question does not exist, or is outside the scope.
            InvalidAssessmentState: the assessment is not in progress.
            InvalidInput: the answer does not fit the question.
            AnswerChanged: the stored answer has another version; `details` has the answer and its version.
        """
        lock = self._uow.student_assessments.lock_with_items(assessment_id)
        assessment, now, asked = await lock_visible(lock, scope)
        if assessment.status is AssessmentStatus.IN_PROGRESS and assessment.is_due(now):
            after, _ = await submission.expire(self._uow, assessment)
            return SavedAnswer(assessment=after, saved_at=now, expired=True)
        assessment.check_open(now)
        item = item_of(asked, question_id)
        answer = check_answers([item], [SubmittedAnswer(question_id=question_id, raw=raw)])[item.snapshot_id]
        stored = {each.question.id: each.answer for each in await self._uow.assessments.items(assessment_id)}
        if answer == stored[question_id]:  # for example a request that is repeated after its response was lost
            return SavedAnswer(assessment=assessment, saved_at=now, answer=answer)
        if expected is not None and expected != answer_version(stored[question_id]):
            raise changed(stored[question_id])
        await self._uow.student_assessments.store_answers(assessment_id, [(item.snapshot_id, answer, now)], now)
        return SavedAnswer(assessment=assessment, saved_at=now, answer=answer)

    async def flag(self, assessment_id: UUID, question_id: UUID, scope: AccessScope, *, flagged: bool) -> None:
        """Flag a question for later, or remove the flag.

        Raises:
            NotFound: the assessment or the question does not exist, or is outside the scope.
            InvalidAssessmentState: the assessment is not in progress, or has expired.
        """
        lock = self._uow.student_assessments.lock_with_items(assessment_id)
        assessment, now, asked = await lock_visible(lock, scope)
        assessment.check_open(now)
        item = item_of(asked, question_id)
        await self._uow.student_assessments.flag(item.snapshot_id, flagged=flagged)


def changed(stored: Answer | None) -> AnswerChanged:
    """Return the error for an answer that was changed in another tab or on another device."""
    answer = None if stored is None else answer_json(stored)
    return AnswerChanged(
        "The answer was changed in another tab or on another device",
        details={"answer": answer, "version": answer_version(stored)},
    )
