"""Reviews of essays. A reviewer's levels always replace a grader's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from domain.assessments.questions import EssayRubric
from domain.grading.feedback import next_steps, percentage
from domain.grading.rubrics import essay_points, rate
from domain.grading.scores import CriterionRating, EssayScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The levels that a reviewer set or confirmed, by criterion key. `published_revision` None: not published yet."""

    id: UUID
    snapshot_id: UUID
    levels: Mapping[str, str]
    comment: str | None = None
    published_revision: int | None = None


def reviewed(rubric: EssayRubric, score: EssayScore, review: Review) -> EssayScore:
    """Return the score with the reviewer's levels. It is no longer degraded and needs no review; its cost stays.

    The feedback is built from the reviewer's levels and comment, so that it cannot contradict them. Only if the
    reviewer confirmed every level without a comment, a language model's feedback stays.

    Raises:
        InvalidInput: the levels do not fit the rubric.
    """
    points = rate(rubric, review.levels)
    before = {rating.criterion: rating for rating in score.ratings}
    ratings = tuple(_rating(score, before.get(key), key, review.levels[key], points[key]) for key in points)
    total, max_points, fraction = essay_points(rubric, ratings)
    confirmed = all(key in before and before[key].level == level for key, level in review.levels.items())
    keeps_feedback = score.graded_by_model and confirmed and not review.comment
    return replace(
        score,
        points=total,
        max_points=max_points,
        fraction=fraction,
        ratings=ratings,
        feedback=score.feedback if keeps_feedback else _feedback(rubric, review, fraction),
        confidence=Decimal(1),
        needs_review=False,
        degraded_reason=None,
        reviewed=True,
    )


def _feedback(rubric: EssayRubric, review: Review, fraction: Decimal) -> str:
    """Return the share of the points, the comment if there is one, and what the next level of each criterion needs."""
    graded = f"A reviewer graded this answer: {percentage(fraction)} of the points."
    comment = [review.comment] if review.comment else []
    return "\n".join([graded, *comment, next_steps(rubric, review.levels)])


def _rating(
    score: EssayScore, before: CriterionRating | None, criterion: str, level: str, points: Decimal
) -> CriterionRating:
    """Build a rating. A confirmed level keeps a language model's rationale, but not the local grader's estimate."""
    if before is None or before.level != level:
        return CriterionRating(
            criterion=criterion,
            level=level,
            points=points,
            rationale="Set by a reviewer.",
            sample_levels=before.sample_levels if before else (),
            raw_confidence=before.raw_confidence if before else None,
        )
    if score.graded_by_model or score.reviewed:
        return replace(before, confidence=Decimal(1))
    return replace(before, confidence=Decimal(1), rationale="Confirmed by a reviewer.")
