"""Sweeps of reconciliation: the concerns, and the port that stores how far each sweep has come."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID


class Concern(StrEnum):
    """A kind of row that reconciliation looks at. Each has its own Schedule, so that no concern can stop another."""

    UNCLAIMED = "unclaimed"
    """Submitted assessments that no run has claimed."""
    CLAIMED = "claimed"
    """Submitted assessments that a run claimed and has not finished."""
    EXPIRY = "expiry"
    """Assessments in progress that are past their deadline."""
    HEALING = "healing"
    REVIEWS = "reviews"
    """Results with reviews that are not published."""
    REVIEW_QUEUE = "review_queue"
    """Results whose place in the review queue is missing or outdated."""
    DELIVERIES = "deliveries"
    ERASURES = "erasures"
    IMPORTS = "imports"
    """Imports of the catalogue that are not embedded."""
    APPEALS = "appeals"
    """Open appeals whose next mark is late, and closed appeals whose run has not ended."""
    RESCORES = "rescores"
    """Re-scores that are being computed, applied or discarded."""
    LINK_MAILS = "link_mails"
    """Links that wait to be mailed."""
    JOBS = "jobs"
    """Jobs that are still marked as running although every timeout is over."""
    FINGERPRINTS = "fingerprints"
    """Results whose answers have no fingerprints, because a release without the search for copies graded them."""
    AUDIT = "audit"
    """Audit entries that are not sealed."""

    @property
    def is_rare(self) -> bool:
        """Whether the concern is swept less often, because its results may come later than within a minute."""
        return self not in {
            Concern.UNCLAIMED,
            Concern.CLAIMED,
            Concern.EXPIRY,
            Concern.REVIEWS,
            Concern.DELIVERIES,
        }

    @property
    def interval_factor(self) -> int:
        """The interval of the concern's sweeps, in intervals of the urgent ones."""
        return RARE_FACTOR if self.is_rare else 1


RARE_FACTOR: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The position after a row. `at` is set if the rows are ordered by a time and then by id."""

    id: UUID
    at: datetime | None = None


class Sweeps(Protocol):
    """The repository of sweeps."""

    async def cursor(self, concern: Concern) -> Cursor | None:
        """Return where the next sweep of the concern continues; None means at its first row."""
        ...

    async def record(self, concern: Concern, cursor: Cursor | None) -> None:
        """Store that a sweep of the concern has just ended, and where the next one continues."""
        ...
