"""Columns about the items of a visible result: samples, copies, reviews and the scores of each revision."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column, null
from sqlalchemy.dialects.postgresql import JSONB

from persistence.queries.views import PublishedView

# The fragments are correlated with the assessment and with its visible revision, which the statement joins.
_SAMPLES: Final = """(
  SELECT jsonb_object_agg(score.question_snapshot_id, score.response_payload -> 'ratings')
  FROM essay_scores AS score WHERE score.assessment_id = assessments.id
)"""
_COPIES: Final = """(
  SELECT jsonb_object_agg(score.question_snapshot_id, score.response_payload -> 'copied_from')
  FROM essay_scores AS score
  WHERE score.assessment_id = assessments.id AND score.response_payload -> 'copied_from' <> '[]'
)"""
_REVISIONS: Final = """(
  SELECT jsonb_agg(jsonb_build_object(
    'revision', earlier.revision,
    'published_at', earlier.created_at,
    'scores', (
      SELECT jsonb_agg(jsonb_build_object(
        'question_id', score -> 'question_id',
        'points', score -> 'points',
        'levels', (
          SELECT jsonb_object_agg(rating ->> 'criterion', rating ->> 'level')
          FROM jsonb_array_elements(score -> 'criteria') AS rating
        )
      ))
      FROM jsonb_array_elements(earlier.document -> 'scores') AS score
    )
  ) ORDER BY earlier.revision)
  FROM result_revisions AS earlier
  WHERE earlier.assessment_id = assessments.id AND earlier.revision <= result_revisions.revision{}
)"""
_REVIEWS: Final = """(
  SELECT jsonb_agg(jsonb_build_object(
    'review_id', review.id,
    'snapshot_id', review.question_snapshot_id,
    'created_at', review.created_at,
    'reviewer_id', review.reviewer_id,
    'reviewer_email', CASE WHEN reviewer.status NOT IN ('erasing', 'erased') THEN reviewer.email END,
    'reviewer_name', reviewer.name,
    'levels', review.levels,
    'comment', review.comment,
    'published_revision', review.published_revision,
    'reviewed_revision', (
      SELECT max(seen.revision) FROM result_revisions AS seen
      WHERE seen.assessment_id = assessments.id AND seen.created_at <= review.created_at
    )
  ) ORDER BY review.created_at, review.id)
  FROM essay_reviews AS review JOIN users AS reviewer ON reviewer.id = review.reviewer_id
  WHERE review.assessment_id = assessments.id{}
)"""
_RELEASED: Final = " AND NOT earlier.held"
_PUBLISHED: Final = " AND review.published_revision <= result_revisions.revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedView(PublishedView):
    """A result with JSON about its items; None where there is nothing.

    `samples` maps snapshot ids to ratings, `copies` to lists of CopiedFrom; `reviews` is a list of ReviewEntry,
    `revisions` of RevisionScores.
    """

    samples: Any
    copies: Any
    reviews: Any
    revisions: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewEntry:
    """A review; `reviewed_revision` is the revision that was current at the time of the review."""

    review_id: UUID
    snapshot_id: UUID
    created_at: datetime
    reviewer_id: UUID
    reviewer_email: str | None
    reviewer_name: str | None
    levels: Mapping[str, str]
    comment: str | None
    published_revision: int | None
    reviewed_revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisedScore:
    """An item's score in one revision. `levels` has the levels by criterion; None for an item without levels."""

    question_id: UUID
    points: Decimal | None
    levels: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionScores:
    revision: int
    published_at: datetime
    scores: tuple[RevisedScore, ...]


def graded_columns(*, own: bool) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of a GradedView.

    A student sees only reviews that the visible result includes, and no revision that was replaced while it was held.
    Samples and copies are for advisors and admins.
    """
    return (
        (null() if own else literal_column(_SAMPLES, JSONB)).label("samples"),
        (null() if own else literal_column(_COPIES, JSONB)).label("copies"),
        literal_column(_REVIEWS.format(_PUBLISHED if own else ""), JSONB).label("reviews"),
        literal_column(_REVISIONS.format(_RELEASED if own else ""), JSONB).label("revisions"),
    )
