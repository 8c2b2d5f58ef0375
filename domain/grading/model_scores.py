"""The score of an essay that a language model graded."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from domain.decimals import rounded
from domain.grading.copies import find_copies
from domain.grading.model_calibration import is_unsure
from domain.grading.model_grading import Accepted, LeftToPerson, cause_review, flags_of
from domain.grading.rubrics import Essay, essay_points
from domain.grading.scores import EssayScore, Spent


def essay_score(
    essay: Essay, answer: Accepted | LeftToPerson, spent: Spent, *, model: str, prompt_version: str
) -> EssayScore:
    """Build the score with the rubric's points. An essay with a flag or low confidence needs a review."""
    flags = flags_of(essay, answer)
    ungraded = EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="A reviewer will grade this answer because a part of it is addressed to the grader.",
        model=model,
        prompt_version=prompt_version,
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
        flags=flags,
        latency_ms=spent.latency_ms,
        cost_cents=spent.cost_cents,
        examples=tuple(example.review_id for example in essay.examples),
        copied_from=find_copies(essay.text, essay.prompt, essay.rubric, essay.others),
    )
    return ungraded if isinstance(answer, LeftToPerson) else _scored(ungraded, essay, answer)


def _scored(ungraded: EssayScore, essay: Essay, answer: Accepted) -> EssayScore:
    points, _, fraction = essay_points(essay.rubric, answer.ratings)
    confidences = [Fraction(rating.confidence) for rating in answer.ratings]
    return replace(
        ungraded,
        points=points,
        fraction=fraction,
        ratings=answer.ratings,
        feedback=answer.feedback,
        confidence=rounded(sum(confidences, Fraction(0)) / len(confidences)),
        needs_review=cause_review(ungraded.flags) or is_unsure(answer.ratings),
        calibration=answer.calibration,
    )
