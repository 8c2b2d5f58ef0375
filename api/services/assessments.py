"""Start an assessment and submit its answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from api.services.use_cases import UseCases, lock_visible
from domain.assessments import submission
from domain.assessments.answers import SubmittedAnswer, check_answers
from domain.assessments.attempts import check_start
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.questions import Item
from domain.errors import InvalidAssessmentState, InvalidInput, Problem
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.student_assessments import NewAssessment, StartableRole

_NOTHING_ANSWERED: Final = "No question is answered yet: answer at least one before you submit the assessment"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedAssessment:
    """`closed` is an earlier attempt at the role that had expired and was closed by this start."""

    assessment: Assessment
    items: tuple[Item, ...]
    closed: Assessment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionReceipt:
    """The assessment after the request. `expired`: it had expired before, and no answer was stored."""

    assessment: Assessment
    expired: bool = False


class AssessmentService(UseCases):
    async def start(self, new: NewAssessment, student: Actor) -> StartedAssessment:
        """Open an assessment of a role with snapshots of its active questions.

        Its duration is that of `new`, extended by the student's time accommodation.

        Raises:
            InvalidInput: the role is unknown or inactive, has no questions, or requires other roles first.
            InvalidAssessmentState: an assessment of the role is open; `details.assessment_id` names it.
            NoAttemptsLeft: the student has used all attempts that the role allows.
            RetakeNotYet: the cool-down after the last attempt has not ended.
            Erased: the student is being erased.
        """
        accommodation = await self._uow.student_assessments.lock_start(student.id, new.role_id)
        role = await self._startable_role(student.id, new.role_id)
        closed = await self._close_expired_attempt(role)
        if role.open_id is not None:  # it was open at the read: this start has closed it, or its student submitted it
            role = await self._startable_role(student.id, new.role_id)
        check_start(role.policy, role.history, role.now)
        extended = replace(new, duration=accommodation.extend(new.duration))
        assessment, items = await self._uow.student_assessments.open(extended, student)
        if not items:
            raise _invalid_role("names a role without questions")
        return StartedAssessment(assessment=assessment, items=items, closed=closed)

    async def submit(
        self,
        assessment_id: UUID,
        scope: AccessScope,
        student: Actor,
        submitted: Sequence[SubmittedAnswer],
        *,
        completed: bool,
    ) -> SubmissionReceipt:
        """Store and clear all answers or none. `completed` also submits the assessment for scoring.

        An expired assessment is closed instead, which the caller commits too.

        Raises:
            NotFound: the assessment does not exist or is outside the scope.
            InvalidAssessmentState: it is not in progress, or is submitted without an answer.
            InvalidInput: some answers do not fit their questions; all problems are listed.
        """
        lock = self._uow.student_assessments.lock_with_items(assessment_id)
        before, now, items = await lock_visible(lock, scope)
        if before.status is AssessmentStatus.IN_PROGRESS and before.is_due(now):
            after, _ = await submission.expire(self._uow, before)
            return SubmissionReceipt(assessment=after, expired=True)
        scope.visible(before).check_open(now)
        answers = check_answers(items, submitted)
        rows = [
            (snapshot_id, answer, sent.claimed_at or now)
            for (snapshot_id, answer), sent in zip(answers.items(), submitted, strict=True)
        ]
        await self._uow.student_assessments.store_answers(assessment_id, rows, now)
        if not completed:
            return SubmissionReceipt(assessment=before)
        items = await self._uow.assessments.items(assessment_id)
        if not submission.is_answered(items):
            raise InvalidAssessmentState(_NOTHING_ANSWERED)
        after = before.submit()
        await submission.submit(self._uow, before, after, items, actor=student.id)
        return SubmissionReceipt(assessment=after)

    async def _startable_role(self, user_id: UUID, role_id: UUID) -> StartableRole:
        """Return the role after checking that it is active and that its prerequisites are completed."""
        role = await self._uow.student_assessments.role(user_id, role_id)
        if role is None:
            raise _invalid_role("does not name an active role")
        if missing := sorted(set(role.prerequisites) - set(role.completed), key=str):
            names = ", ".join(str(prerequisite) for prerequisite in missing)
            raise _invalid_role(f"requires completed assessments of the roles {names}")
        return role

    async def _close_expired_attempt(self, role: StartableRole) -> Assessment | None:
        """Close the student's open attempt at the role if it has expired, and return it.

        Raises:
            InvalidAssessmentState: the attempt has not expired.
        """
        if role.open_id is None:
            return None
        before, now = await self._uow.assessments.lock(role.open_id)
        if before.status is not AssessmentStatus.IN_PROGRESS:  # submitted between the read and the lock
            return None
        if not before.is_due(now):
            raise InvalidAssessmentState(
                "An assessment of this role is open already", details={"assessment_id": str(before.id)}
            )
        after, _ = await submission.expire(self._uow, before)
        return after


def _invalid_role(problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem("role_id", problem),))
