"""A re-score: its request, its states and its progress."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.assessments.questions import QuestionKind
from domain.errors import Conflict


class RescoreScope(StrEnum):
    """What is computed again: the scores by rules, the grades of essays, or only the recommendations."""

    RULES = "rules"
    ESSAYS = "essays"
    RECOMMENDATIONS = "recommendations"

    def covers(self, kind: QuestionKind) -> bool:
        """Return whether questions of this kind get a new score."""
        match self:
            case RescoreScope.RULES:
                return kind is not QuestionKind.TEXT
            case RescoreScope.ESSAYS:
                return kind is QuestionKind.TEXT
            case RescoreScope.RECOMMENDATIONS:
                return False


class RescoreStatus(StrEnum):
    """queued -> computing -> computed | stopped -> applying -> computed | stopped -> discarding -> discarded.

    `stopped`: the computation ended early; the differences found so far can be read and applied.
    """

    QUEUED = "queued"
    COMPUTING = "computing"
    COMPUTED = "computed"
    STOPPED = "stopped"
    APPLYING = "applying"
    DISCARDING = "discarding"
    DISCARDED = "discarded"

    @property
    def is_working(self) -> bool:
        """Whether a workflow must be running."""
        return self in WORKING


WORKING: Final = frozenset(
    {RescoreStatus.QUEUED, RescoreStatus.COMPUTING, RescoreStatus.APPLYING, RescoreStatus.DISCARDING}
)


class DifferenceStatus(StrEnum):
    """The state of one assessment's difference. `pending`: essays or recommendations are still missing.

    `skipped`: the assessment changed after the computation, so the difference was not applied.
    """

    PENDING = "pending"
    COMPUTED = "computed"
    APPLYING = "applying"
    APPLIED = "applied"
    SKIPPED = "skipped"


class DifferenceOutcome(StrEnum):
    """`not_comparable`: nothing would change, and at least one item could not be scored again."""

    CHANGED = "changed"
    SAME = "same"
    NOT_COMPARABLE = "not_comparable"


class SkipReason(StrEnum):
    """Why a difference was not applied."""

    NEWER_REVISION = "newer_revision"
    NEWER_REVIEW = "newer_review"
    NOT_PUBLISHABLE = "not_publishable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescore:
    """A request of an admin. Either `role_id` or `question_id` selects the assessments.

    `since` and `requested_at` bound the time of their completion. With `versions`, only assessments count that were
    scored by one of these question versions. `cursor` is the last assessment that was read. `stop_reason` tells why
    the computation ended early.
    """

    id: UUID
    organization_id: UUID
    role_id: UUID | None
    question_id: UUID | None
    since: datetime | None
    versions: tuple[str, ...]
    scope: RescoreScope
    status: RescoreStatus
    requested_at: datetime
    cursor: UUID | None = None
    total: int | None = None
    done: int = 0
    cents: Decimal = Decimal(0)
    stop_reason: str | None = None

    @property
    def is_discarded(self) -> bool:
        """Whether the differences are deleted or being deleted."""
        return self.status in {RescoreStatus.DISCARDING, RescoreStatus.DISCARDED}

    def check_applicable(self) -> None:
        """Raise Conflict unless differences can be applied now. A running application accepts more of them."""
        if self.status not in {RescoreStatus.COMPUTED, RescoreStatus.STOPPED, RescoreStatus.APPLYING}:
            raise Conflict(f"The re-score is {self.status}; it can be applied when it is computed or stopped")

    def check_discardable(self) -> None:
        """Raise Conflict while differences are being applied."""
        if self.status is RescoreStatus.APPLYING:
            raise Conflict("The re-score is being applied; discard it afterwards")
