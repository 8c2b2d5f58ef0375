"""The queue of essays that wait for a reviewer: why an essay is in it, and who works on it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from domain.errors import Conflict
from domain.grading.essay_text import TOO_SHORT
from domain.grading.scores import EssayScore
from domain.ids import derived_id
from domain.sweeps import Cursor

CLAIM_LASTS: Final = timedelta(minutes=15)
"""How long a claim lasts after it was made or renewed."""

LOW_CONFIDENCE_BELOW: Final = Decimal("0.65")
_HASH_BITS: Final = 48


class ReviewReason(StrEnum):
    """Why an essay is in the queue. Appeals come first, audit samples last, all other reasons between them."""

    APPEALED = "appealed"
    ABSTAINED = "abstained"
    FLAGGED = "flagged"
    LOW_CONFIDENCE = "low_confidence"
    AUDIT_SAMPLE = "audit_sample"


DOUBTS: Final = (ReviewReason.ABSTAINED, ReviewReason.FLAGGED, ReviewReason.LOW_CONFIDENCE)
"""The reasons of a score with `needs_review`. Such a score has at least one of them, and no other score has any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The number of corrected assessments, and where the next repair continues; None after the last assessment."""

    number: int
    next: Cursor | None


class ReviewQueue(Protocol):
    """The queue of essays that wait for a reviewer, one row for each essay. Publications and reviews update it."""

    async def repair(self, *, after: Cursor | None, limit: int) -> Repaired:
        """Check the next `limit` assessments, and compute the rows of those that differ from their published results.

        A release without the queue publishes such results.
        """
        ...

    async def add_appeal(self, snapshot_id: UUID) -> None:
        """Put an essay into the queue because the student appealed. A repeated call changes nothing."""
        ...

    async def close_appeal(self, snapshot_id: UUID) -> None:
        """Remove the reason `appealed`. The essay leaves the queue unless another reason keeps it there."""
        ...


class ItemClaimed(Conflict):
    """Another reviewer has claimed the essay."""

    code = "ITEM_CLAIMED"


class ClaimNotHeld(Conflict):
    """The caller has no claim on the essay."""

    code = "CLAIM_NOT_HELD"


class ItemDecided(Conflict):
    """The essay does not wait any more, because another reviewer decided it or healing removed the doubt."""

    code = "ITEM_DECIDED"


class RevisionOutdated(Conflict):
    """The result has a newer revision than the one that the reviewer saw."""

    code = "REVISION_OUTDATED"


class ItemAppealed(Conflict):
    """The student has appealed the essay's grade. The answer to the appeal decides it."""

    code = "ITEM_APPEALED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A reviewer's claim on an essay, or an expired one (`live` False)."""

    user_id: UUID
    email: str
    expires_at: datetime
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedItem:
    """An essay's place in the queue. `waiting` False: a review is stored, and the next revision includes it."""

    reasons: tuple[ReviewReason, ...]
    waiting: bool
    claim: Claim | None


def review_reasons(score: EssayScore, audit_share: float) -> tuple[ReviewReason, ...]:
    """Return why the essay is in the queue; an empty tuple if it is not.

    `audit_share` (0..1) is the share of confident grades that reviewers check, so that agreement is also measured on
    grades without a doubt.
    """
    if not score.needs_review:
        sampled = _is_confident_grade(score) and audit_draw(score.snapshot_id) < audit_share
        return (ReviewReason.AUDIT_SAMPLE,) if sampled else ()
    found = {
        ReviewReason.ABSTAINED: score.points is None,
        ReviewReason.FLAGGED: any(flag != TOO_SHORT or not score.graded_by_model for flag in score.flags),
        ReviewReason.LOW_CONFIDENCE: score.points is not None and _confidence(score) < LOW_CONFIDENCE_BELOW,
    }
    reasons = tuple(reason for reason, applies in found.items() if applies)
    return reasons or (ReviewReason.LOW_CONFIDENCE,)


def audit_draw(snapshot_id: UUID) -> float:
    """Return a number in [0, 1) that depends on the essay's id only, so that retries and revisions draw the same."""
    hashed = derived_id("audit-sample", snapshot_id)
    return (hashed.int >> (128 - _HASH_BITS)) / (1 << _HASH_BITS)


def check_claim(claim: Claim | None, reviewer_id: UUID) -> None:
    """Raise ItemClaimed if another reviewer has a live claim."""
    if claim is not None and claim.live and claim.user_id != reviewer_id:
        raise ItemClaimed(
            "Another reviewer has claimed this essay",
            details={"claimed_by": claim.email, "expires_at": claim.expires_at.isoformat()},
        )


def check_held(item: QueuedItem | None, reviewer_id: UUID, *, revision: int) -> QueuedItem:
    """Return the essay's place in the queue if the reviewer has a claim on it. `revision` is the published one.

    An expired claim is enough as long as no other reviewer has claimed the essay.

    Raises:
        ItemDecided, ItemClaimed, ClaimNotHeld: as their descriptions say.
    """
    if item is None or not item.waiting:
        raise ItemDecided("This essay does not wait for a review any more", details={"revision": str(revision)})
    check_claim(item.claim, reviewer_id)
    if item.claim is None or item.claim.user_id != reviewer_id:
        raise ClaimNotHeld("You have no claim on this essay. Claim it first")
    return item


def check_decision(item: QueuedItem | None, reviewer_id: UUID, *, seen_revision: int, revision: int) -> None:
    """Check that a decision under a claim overwrites no work of others.

    Raises:
        ItemDecided, ItemClaimed, ClaimNotHeld, RevisionOutdated, ItemAppealed: as their descriptions say.
    """
    held = check_held(item, reviewer_id, revision=revision)
    if seen_revision != revision:
        raise RevisionOutdated(
            f"The result has revision {revision} now. Read it before you decide", details={"revision": str(revision)}
        )
    if ReviewReason.APPEALED in held.reasons:
        raise ItemAppealed("The student has appealed this grade. Answer the appeal instead")


def _is_confident_grade(score: EssayScore) -> bool:
    """Whether a grader, and not a reviewer, gave the score. An unanswered essay has the model `none`."""
    return score.points is not None and not score.reviewed and score.model != "none"


def _confidence(score: EssayScore) -> Decimal:
    return min((rating.confidence for rating in score.ratings), default=score.confidence)
