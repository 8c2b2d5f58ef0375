"""The state machine of an assessment: in_progress -> awaiting_async -> completed | failed."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.errors import InvalidAssessmentState


class AssessmentStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    AWAITING_ASYNC = "awaiting_async"
    COMPLETED = "completed"
    FAILED = "failed"


class Healing(StrEnum):
    """Whether healing will improve a published result.

    `due`: a later run will try again. `final`: no later run will try again. `stopped`: healing has failed.
    """

    NONE = "none"
    DUE = "due"
    FINAL = "final"
    STOPPED = "stopped"


EXPIRED: Final = "expired"
"""The failure reason of an assessment that expired without an answer. Such an assessment cannot be run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One learner's attempt at a role. `run` starts at 1 and increases with each rerun. `revision` 0: unpublished.

    `released_revision` is set while the current revision is held: the student sees this earlier revision, or no result
    if it is 0. None means that the student sees the current revision. `released_at` is when the student first saw the
    result that they see; None means `completed_at`.
    """

    id: UUID
    user_id: UUID
    organization_id: UUID
    role_id: UUID
    status: AssessmentStatus
    run: int
    revision: int
    expires_at: datetime
    claimed_at: datetime | None = None
    completed_at: datetime | None = None
    failure_reason: str | None = None
    degraded: bool = False
    healing: Healing = Healing.NONE
    released_revision: int | None = None
    released_at: datetime | None = field(default=None, compare=False)

    @property
    def held(self) -> bool:
        """Whether the current revision waits for its release."""
        return self.released_revision is not None

    @property
    def shown_revision(self) -> int:
        """The revision that the student sees; 0 for none."""
        return self.revision if self.released_revision is None else self.released_revision

    def as_student_sees(self) -> "Assessment":
        """Return the assessment without a held revision. One without a released result still awaits its result."""
        if self.released_revision is None:
            return self
        if self.released_revision > 0:
            return replace(self, revision=self.released_revision, released_revision=None)
        return replace(
            self,
            status=AssessmentStatus.AWAITING_ASYNC,
            revision=0,
            completed_at=None,
            failure_reason=None,
            degraded=False,
            healing=Healing.NONE,
            released_revision=None,
        )

    def check_open(self, now: datetime) -> None:
        """Raise InvalidAssessmentState unless the assessment is in progress and has not expired."""
        if self.status is not AssessmentStatus.IN_PROGRESS:
            raise InvalidAssessmentState(f"Assessment is {self.status}, answers are no longer accepted")
        if self.is_due(now):
            raise InvalidAssessmentState("Assessment has expired, answers are no longer accepted")

    def is_due(self, now: datetime) -> bool:
        """Return whether the assessment has expired at `now`."""
        return now >= self.expires_at

    def submit(self) -> "Assessment":
        """Submit the assessment, on the learner's request or on expiry. At least one question must be answered."""
        return self._move(AssessmentStatus.AWAITING_ASYNC, {AssessmentStatus.IN_PROGRESS})

    def expire(self, *, answered: bool) -> "Assessment":
        """Submit an assessment with answers at its expiry; fail one without answers."""
        if answered:
            return self.submit()
        return self._move(AssessmentStatus.FAILED, {AssessmentStatus.IN_PROGRESS}, failure_reason=EXPIRED)

    def claim(self, now: datetime) -> "Assessment":
        """Mark the assessment as claimed by a workflow. A repeated claim keeps the first `claimed_at`."""
        if self.status is not AssessmentStatus.AWAITING_ASYNC:
            raise InvalidAssessmentState(f"Assessment is {self.status} and cannot be claimed")
        return self if self.claimed_at else replace(self, claimed_at=now)

    def complete(self, now: datetime, *, degraded: bool, healing: Healing, held: bool = False) -> "Assessment":
        """Publish the first revision. `held`: the student does not see it before its release."""
        return self._move(
            AssessmentStatus.COMPLETED,
            {AssessmentStatus.AWAITING_ASYNC},
            completed_at=now,
            revision=self.revision + 1,
            degraded=degraded,
            healing=healing,
            released_revision=0 if held else None,
        )

    def revise(self, *, degraded: bool, healing: Healing, held: bool = False) -> "Assessment":
        """Publish a later revision. `completed_at` does not change. `held`: the student sees the same as before."""
        return self._move(
            AssessmentStatus.COMPLETED,
            {AssessmentStatus.COMPLETED},
            revision=self.revision + 1,
            degraded=degraded,
            healing=healing,
            failure_reason=None,
            released_revision=self.shown_revision if held else None,
        )

    def release(self) -> "Assessment":
        """Show the current revision to the student. A released one does not change."""
        if self.status is not AssessmentStatus.COMPLETED:
            raise InvalidAssessmentState(f"Assessment is {self.status}, there is no result to release")
        return replace(self, released_revision=None)

    def end_healing(self, healing: Healing, reason: str | None = None) -> "Assessment":
        """End healing as `final`, or as `stopped` with a reason after a failure. The published result stays."""
        return self._move(
            AssessmentStatus.COMPLETED, {AssessmentStatus.COMPLETED}, healing=healing, failure_reason=reason
        )

    def retry_healing(self) -> "Assessment":
        """Make healing due again after it ended or failed. Healing that is already due stays due."""
        if self.healing is Healing.NONE:
            raise InvalidAssessmentState(f"Assessment is {self.status} and there is nothing to heal")
        return self._move(
            AssessmentStatus.COMPLETED, {AssessmentStatus.COMPLETED}, healing=Healing.DUE, failure_reason=None
        )

    def fail(self, reason: str) -> "Assessment":
        """Fail an unfinished assessment."""
        unfinished = {AssessmentStatus.IN_PROGRESS, AssessmentStatus.AWAITING_ASYNC}
        return self._move(AssessmentStatus.FAILED, unfinished, failure_reason=reason)

    def rerun(self) -> "Assessment":
        """Start a new run of a failed assessment. One that expired without an answer cannot be run again."""
        if self.failure_reason == EXPIRED:
            raise InvalidAssessmentState("Assessment expired without an answer and cannot be run again")
        return self._move(
            AssessmentStatus.AWAITING_ASYNC,
            {AssessmentStatus.FAILED},
            run=self.run + 1,
            claimed_at=None,
            failure_reason=None,
        )

    def _move(self, to: AssessmentStatus, starts: Collection[AssessmentStatus], **changes: object) -> "Assessment":
        """Change the status if the current one is in `starts`; otherwise raise InvalidAssessmentState."""
        if self.status not in starts:
            raise InvalidAssessmentState(f"Assessment is {self.status} and cannot become {to}")
        return replace(self, status=to, **changes)  # type: ignore[arg-type]  # replace() is not typed per field
