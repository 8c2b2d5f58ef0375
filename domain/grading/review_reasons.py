"""Why an essay waits for a review."""

from collections.abc import Sequence
from enum import StrEnum

from domain.grading.essay_text import TOO_SHORT


class ReviewReason(StrEnum):
    ABSTAINED = "abstained"
    """The grader gave no levels."""
    FLAGGED = "flagged"
    """The text has a flag, for example an attempt to instruct the grader, or healing lowered the score."""
    LOW_CONFIDENCE = "low_confidence"
    """The grader gave levels without a flag, but is not sure of them."""


def review_reasons(*, abstained: bool, flags: Sequence[str], model: str) -> frozenset[ReviewReason]:
    """Return the reasons of an essay whose score needs a review. There is at least one.

    A short text alone is a reason for the local grader (`model` is `local-…`), but not for a language model.
    """
    reasons = {ReviewReason.ABSTAINED} if abstained else set()
    if any(flag != TOO_SHORT or model.startswith("local-") for flag in flags):
        reasons.add(ReviewReason.FLAGGED)
    return frozenset(reasons or {ReviewReason.LOW_CONFIDENCE})
