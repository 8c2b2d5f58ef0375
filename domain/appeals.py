"""Appeals: a student's objection to the grade of one essay, the rules of appeals, and their ports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.questions import EssayRubric, Item
from domain.errors import Conflict, Forbidden, InvalidAssessmentState, NotFound


class AppealState(StrEnum):
    OPEN = "open"
    UPHELD = "upheld"
    """The reviewer agreed and set new levels. A later revision of the result contains them."""
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    """The student withdrew the appeal before it was answered."""


class AppealMark(StrEnum):
    """What the workflow of an appeal records, each once and with its time."""

    REMINDED = "reminded"
    OVERDUE = "overdue"
    RUN_ENDED = "run_ended"
    """The workflow has seen that the appeal is closed. Reconciliation no longer looks at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """An appeal of the essay with this snapshot and question, opened against `revision` of the result.

    The organization's settings at its opening determine `reminder_due_at` and `answer_due_at`.
    """

    id: UUID
    assessment_id: UUID
    snapshot_id: UUID
    question_id: UUID
    organization_id: UUID
    user_id: UUID
    role_id: UUID
    revision: int
    state: AppealState
    reminder_due_at: datetime
    answer_due_at: datetime
    reminded_at: datetime | None = None
    overdue_at: datetime | None = None
    run_ended_at: datetime | None = None

    def check_open(self) -> None:
        """Raise Conflict if the appeal is closed."""
        if self.state is not AppealState.OPEN:
            raise Conflict(f"The appeal is {self.state} already", details={"appeal_id": str(self.id)})

    def marks_due(self, now: datetime) -> tuple[AppealMark, ...]:
        """Return what the workflow must record at `now` and has not recorded yet."""
        if self.state is not AppealState.OPEN:
            return () if self.run_ended_at else (AppealMark.RUN_ENDED,)
        due = {
            AppealMark.REMINDED: self.reminded_at is None and now >= self.reminder_due_at,
            AppealMark.OVERDUE: self.overdue_at is None and now >= self.answer_due_at,
        }
        return tuple(mark for mark, is_due in due.items() if is_due)

    def next_mark_at(self, now: datetime) -> datetime | None:
        """Return when the next mark of an open appeal is due, or None if only its answer is missing."""
        later = [moment for moment in (self.reminder_due_at, self.answer_due_at) if moment > now]
        return min(later) if later and self.state is AppealState.OPEN else None


def shown_since(assessment: Assessment) -> datetime | None:
    """Return when the student first saw the result. None: not yet."""
    return assessment.completed_at


def check_window(assessment: Assessment, now: datetime, window_days: int) -> None:
    """Raise InvalidAssessmentState unless the student may appeal a grade of this assessment at `now`."""
    since = shown_since(assessment)
    if assessment.status is not AssessmentStatus.COMPLETED or since is None:
        raise InvalidAssessmentState("There is no result yet, so there is nothing to appeal")
    if now >= since + timedelta(days=window_days):
        raise InvalidAssessmentState(f"Grades can be appealed within {window_days} days of the result")


def appealable(items: Sequence[Item], question_id: UUID) -> Item:
    """Return the answered essay with this question.

    An item that a rule scores cannot be appealed: its points follow from the question's key, which concerns every
    student, so the key is corrected instead.

    Raises:
        NotFound: the assessment has no such question.
        InvalidAssessmentState: the item is not an answered essay.
    """
    item = next((item for item in items if item.question.id == question_id), None)
    if item is None:
        raise NotFound("No such question")
    if not isinstance(item.question.rubric, EssayRubric):
        raise InvalidAssessmentState(
            "Only essays can be appealed. This question is scored by a rule; report a wrong key to your provider"
        )
    if item.answer is None:
        raise InvalidAssessmentState("The essay was not answered, or its answer was deleted, so it cannot be appealed")
    return item


def check_reviewer(reviewer: UUID, last_reviewer: UUID | None, *, has_colleagues: bool) -> None:
    """Raise Forbidden if the reviewer graded this essay last and a colleague could answer the appeal instead."""
    if reviewer == last_reviewer and has_colleagues:
        raise Forbidden("You reviewed this essay last. Another advisor or admin must answer its appeal")


class AppealRuns(Protocol):
    """The workflow engine, for appeals. Every call is idempotent.

    Raises:
        ExternalServiceError: the engine did not accept the call in time. Reconciliation repeats it.
    """

    async def start(self, appeal: Appeal) -> None:
        """Start the run of an open appeal, unless one is live."""
        ...

    async def closed(self, appeal: Appeal) -> None:
        """Signal the run of a closed appeal, so that it ends. Start one if none is live; it records the end."""
        ...

    async def live(self, appeals: Sequence[Appeal]) -> frozenset[UUID]:
        """Return the ids of appeals with a live run. The engine's index lags by seconds. At most 200 a call."""
        ...


class Appeals(Protocol):
    """The repository of appeals, as workflows use it."""

    async def get(self, appeal_id: UUID) -> Appeal:
        """Raise NotFound if the appeal does not exist."""
        ...

    async def lock(self, appeal_id: UUID) -> Appeal:
        """Return the appeal and lock its row until the transaction ends. Raise NotFound if it does not exist."""
        ...

    async def mark(self, appeal: Appeal, mark: AppealMark, now: datetime) -> None:
        """Record a mark of a locked appeal. A reminder and an overdue mark also write an audit row."""
        ...

    async def unended(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Appeal, ...]:
        """Return appeals whose workflow must run, by id, after `after`.

        These are closed appeals whose run has not ended, and open ones that are at most a day old or whose reminder or
        overdue mark is late. Appeals that changed within `older_than_s` are left to the request that changed them.
        """
        ...
