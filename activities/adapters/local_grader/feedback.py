"""The texts of the local grader: feedback for students and rationales for reviewers.

The grader estimates levels from similar answers and does not understand the text. So the feedback describes what the
next level requires and makes no statement about the answer's content.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from domain.assessments.questions import EssayRubric
from domain.grading.essay_text import (
    ADDRESSED_TO_GRADER,
    COPIED_PROMPT,
    GIBBERISH,
    HIDDEN_CHARACTERS,
    PASTED_RUBRIC,
    REPEATED,
    TOO_SHORT,
)
from domain.grading.feedback import next_steps, percentage
from domain.grading.padding import UNRELATED_PASSAGE
from domain.grading.scores import OTHER_LANGUAGE, UNRELATED

CLOSE: Final = 0.8
"""A cosine similarity. Labelled answers of the project this close have the same level twice as often as others."""
FAR: Final = 0.5
"""A cosine similarity. 97 % of the project's labelled answers have a closer one."""

NOTHING_OWN: Final = "The lowest level: too little text is left when copied and repeated passages are not counted."
NOT_GRADED: Final = "This answer has not been graded yet. A reviewer will grade it."
_REASONS: Final[Mapping[str, str]] = {
    HIDDEN_CHARACTERS: "it contains invisible characters",
    ADDRESSED_TO_GRADER: "a part of it seems to be addressed to the grader",
    GIBBERISH: "a part of it does not consist of words",
    COPIED_PROMPT: "a large part of it repeats the question",
    PASTED_RUBRIC: "a part of it matches an example answer or the grading guide",
    REPEATED: "it repeats itself",
    TOO_SHORT: "it is very short",
    UNRELATED: "it may not answer the question",
    UNRELATED_PASSAGE: "a part of it may not answer the question",
}


def abstention_feedback(flags: Sequence[str]) -> str:
    if OTHER_LANGUAGE in flags:
        return f"{NOT_GRADED} The automatic estimate is available for answers in English only."
    return NOT_GRADED


def estimate_feedback(
    rubric: EssayRubric, levels: Mapping[str, str], fraction: Decimal, *, flags: Sequence[str], needs_review: bool
) -> str:
    """Return the estimate, whether a reviewer will check it, and what the next level of each criterion requires."""
    lines = [
        f"Automatic estimate: {percentage(fraction)} of the points. It comes from a comparison with example answers."
    ]
    reasons = " and ".join(_REASONS[flag] for flag in flags if flag in _REASONS)
    if needs_review:
        lines += [
            f"A reviewer will check this answer because {reasons}."
            if reasons
            else "A reviewer will check this estimate."
        ]
    return "\n".join([*lines, next_steps(rubric, levels)])


def estimate_rationale(compared: int, similarity: float, *, supports: bool) -> str:
    """Explain a level. `similarity` belongs to the closest labelled answer; `supports`: it has the same level."""
    basis = f"Estimated by comparing wording, meaning and length with {compared} labelled answers to this question."
    if similarity >= CLOSE and supports:
        return f"{basis} The closest of them has the same level (similarity {percentage(Decimal(similarity))})."
    if similarity < FAR:
        return f"{basis} None of them is similar to this answer, so the estimate is uncertain."
    return basis
