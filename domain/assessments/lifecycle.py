"""The lifecycle of an assessment: in_progress -> awaiting_async -> completed | failed, and what is refused."""

from collections.abc import Collection
from dataclasses import dataclass, replace
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
    """Whether a published result will be improved: `due` while a configured part's failure may pass."""

    NONE = "none"
    DUE = "due"
    FINAL = "final"
    STOPPED = "stopped"


EXPIRED: Final = "expired"
"""The failure reason of an assessment that ran out without an answer; it cannot be run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One learner's attempt at a role. `run` starts at 1 and grows with each rerun; `revision` 0 means unpublished."""

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

    def check_open(self, now: datetime) -> None:
        """Refuses answers unless in progress and not expired."""
        if self.status is not AssessmentStatus.IN_PROGRESS:
            raise InvalidAssessmentState(f"Assessment is {self.status}, answers are no longer accepted")
        if self.is_due(now):
            raise InvalidAssessmentState("Assessment has expired, answers are no longer accepted")

    def is_due(self, now: datetime) -> bool:
        """Whether its time has run out."""
        return now >= self.expires_at

    def submit(self) -> "Assessment":
        """The learner hands it in, or its time is up; at least one question is answered."""
        return self._move(AssessmentStatus.AWAITING_ASYNC, {AssessmentStatus.IN_PROGRESS})

    def expire(self, *, answered: bool) -> "Assessment":
        """Time is up: what was answered is submitted; nothing answered is a failure."""
        if answered:
            return self.submit()
        return self._move(AssessmentStatus.FAILED, {AssessmentStatus.IN_PROGRESS}, failure_reason=EXPIRED)

    def claim(self, now: datetime) -> "Assessment":
        """A workflow takes it up; claiming again keeps the first time."""
        if self.status is not AssessmentStatus.AWAITING_ASYNC:
            raise InvalidAssessmentState(f"Assessment is {self.status} and cannot be claimed")
        return self if self.claimed_at else replace(self, claimed_at=now)

    def complete(self, now: datetime, *, degraded: bool, healing: Healing) -> "Assessment":
        return self._move(
            AssessmentStatus.COMPLETED,
            {AssessmentStatus.AWAITING_ASYNC},
            completed_at=now,
            revision=self.revision + 1,
            degraded=degraded,
            healing=healing,
        )

    def revise(self, *, degraded: bool, healing: Healing) -> "Assessment":
        """A later revision is published; when it was completed stays."""
        return self._move(
            AssessmentStatus.COMPLETED,
            {AssessmentStatus.COMPLETED},
            revision=self.revision + 1,
            degraded=degraded,
            healing=healing,
            failure_reason=None,
        )

    def end_healing(self, healing: Healing, reason: str | None = None) -> "Assessment":
        """Healing is given up (`final`) or has failed (`stopped`, for `reason`); the published result stays."""
        return self._move(
            AssessmentStatus.COMPLETED, {AssessmentStatus.COMPLETED}, healing=healing, failure_reason=reason
        )

    def retry_healing(self) -> "Assessment":
        """Healing that was given up or has failed is due again; one that is due already stays so."""
        if self.healing is Healing.NONE:
            raise InvalidAssessmentState(f"Assessment is {self.status} and there is nothing to heal")
        return self._move(
            AssessmentStatus.COMPLETED, {AssessmentStatus.COMPLETED}, healing=Healing.DUE, failure_reason=None
        )

    def fail(self, reason: str) -> "Assessment":
        """It cannot go on; an assessment that is finished, either way, is left alone."""
        unfinished = {AssessmentStatus.IN_PROGRESS, AssessmentStatus.AWAITING_ASYNC}
        return self._move(AssessmentStatus.FAILED, unfinished, failure_reason=reason)

    def rerun(self) -> "Assessment":
        """A failed assessment is tried again with a new run; an expired one has nothing to run on."""
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
        """Two moves may share an end but never a start: submitting and rerunning both await a result."""
        if self.status not in starts:
            raise InvalidAssessmentState(f"Assessment is {self.status} and cannot become {to}")
        return replace(self, status=to, **changes)  # type: ignore[arg-type]  # replace() is not typed per field
