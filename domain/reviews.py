"""A person's judgement of an essay: it always wins over a grader's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from domain.essays import essay_points, rate
from domain.questions import EssayRubric
from domain.scores import CriterionRating, EssayScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The levels that a reviewer set or confirmed, by criterion; `published_revision` None until a result says so."""

    id: UUID
    snapshot_id: UUID
    levels: Mapping[str, str]
    comment: str | None = None
    published_revision: int | None = None


def reviewed(rubric: EssayRubric, score: EssayScore, review: Review) -> EssayScore:
    """The score with the reviewer's levels.

    What the grader said of a criterion stays where its level was confirmed. The comment takes the feedback's place.
    Nothing is degraded or doubtful any more; what the answers cost stays.

    Raises:
        InvalidInput: the levels do not fit the rubric.
    """
    points = rate(rubric, review.levels)
    before = {rating.criterion: rating for rating in score.ratings}
    ratings = tuple(_rating(before.get(key), key, review.levels[key], points[key]) for key in points)
    total, max_points, fraction = essay_points(rubric, ratings)
    return replace(
        score,
        points=total,
        max_points=max_points,
        fraction=fraction,
        ratings=ratings,
        feedback=review.comment or ("A person has graded this answer." if score.points is None else score.feedback),
        confidence=Decimal(1),
        needs_review=False,
        degraded_reason=None,
        reviewed=True,
    )


def _rating(before: CriterionRating | None, criterion: str, level: str, points: Decimal) -> CriterionRating:
    if before is not None and before.level == level:
        return replace(before, confidence=Decimal(1))
    return CriterionRating(criterion=criterion, level=level, points=points, rationale="Set by a reviewer.")
