"""Names of reasons, states, roles and flags for advisors and admins."""

from collections.abc import Mapping
from typing import Final

from api.pages.texts import gettext, mark

REASONS: Final[Mapping[str, str]] = {
    "appealed": mark("Appeal"),
    "abstained": mark("Not graded"),
    "flagged": mark("Flagged"),
    "low_confidence": mark("Low confidence"),
    "audit_sample": mark("Audit sample"),
}
"""Why an essay is in the review queue, in the order of the filter."""
REASON_KINDS: Final[Mapping[str, str]] = {
    "appealed": "bad",
    "abstained": "warn",
    "flagged": "warn",
    "low_confidence": "accent",
}
"""The colour of a reason's tag."""
ROLES: Final[Mapping[str, str]] = {
    "student": mark("Student"),
    "advisor": mark("Advisor"),
    "admin": mark("Admin"),
}
STATES: Final[Mapping[str, str]] = {
    "in_progress": mark("In progress"),
    "awaiting_async": mark("Being graded"),
    "completed": mark("Completed"),
    "failed": mark("Failed"),
}
HEALING: Final[Mapping[str, str]] = {
    "due": mark("are graded again automatically"),
    "final": mark("are not graded again"),
    "stopped": mark("an error has stopped the new grading"),
}
APPEAL_STATES: Final[Mapping[str, str]] = {
    "open": mark("Open"),
    "upheld": mark("Upheld"),
    "rejected": mark("Rejected"),
    "withdrawn": mark("Withdrawn"),
}
FLAGS: Final[Mapping[str, str]] = {
    "hidden_characters": mark("Invisible characters"),
    "addressed_to_grader": mark("Gives orders to the grader"),
    "gibberish": mark("Not made of words"),
    "copied_prompt": mark("Repeats the question"),
    "pasted_rubric": mark("Copies the rubric"),
    "copied_answer": mark("Copies another answer"),
    "repeated": mark("Repeats itself"),
    "too_short": mark("Too short"),
    "unrelated": mark("May not answer the question"),
    "unrelated_passage": mark("A part may not answer the question"),
    "other_language": mark("Not in English"),
    "lowered_by_healing": mark("Lowered by a later grading"),
}
RESCORE_STATES: Final[Mapping[str, str]] = {
    "queued": mark("Waiting to start"),
    "computing": mark("Computing"),
    "computed": mark("Computed"),
    "stopped": mark("Stopped early"),
    "applying": mark("Being applied"),
    "discarding": mark("Being discarded"),
    "discarded": mark("Discarded"),
}
RESCORE_SCOPES: Final[Mapping[str, str]] = {
    "rules": mark("Questions that rules score"),
    "essays": mark("Written answers"),
    "recommendations": mark("Recommendations only"),
}
OUTCOMES: Final[Mapping[str, str]] = {
    "changed": mark("Changed"),
    "same": mark("Unchanged"),
    "not_comparable": mark("Not comparable"),
}
"""Outcomes of a comparison, in the order of the page."""
SKIP_REASONS: Final[Mapping[str, str]] = {
    "newer_revision": mark("the result has got a newer version since"),
    "newer_review": mark("an answer was reviewed since"),
    "not_publishable": mark("the result cannot be published now"),
}
NOT_RELEASED: Final[Mapping[str, str]] = {
    "already_released": mark("was released before"),
    "not_found": mark("does not exist any more"),
    "no_result": mark("has no result yet"),
    "review_pending": mark("a review is being published; try again in a few seconds"),
    "unavailable": mark("the database did not answer; try again"),
    "error": mark("an unexpected error occurred; an administrator finds it in the log"),
}


def named(names: Mapping[str, str], value: str) -> str:
    """Return the translated name of a stored value; the value itself without a name."""
    return gettext(names[value]) if value in names else value.replace("_", " ")
