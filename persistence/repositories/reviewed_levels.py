"""Read a language model's levels with the reviewers' verdicts, for the calibration of its confidence."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from domain.grading.essay_text import TOO_SHORT
from domain.grading.model_calibration import MOST_REVIEWS, CriterionKey, ReviewedLevel
from persistence.repositories.base import Repository

# Only the first review of an essay counts, if the grade was doubtful or drawn for the audit sample: students appeal
# grades that they believe to be wrong, and a reviewer opens others because they look wrong. The limit comes first, so
# that reviews of other models do not make the statement slow.
_REVIEWED: Final = text("""
WITH newest AS MATERIALIZED (
  SELECT id, assessment_id, question_snapshot_id, version, levels, created_at, audit_sample
  FROM essay_reviews WHERE organization_id = :organization_id
  ORDER BY created_at DESC, id DESC LIMIT :most
)
SELECT newest.version, newest.levels AS reviewed,
  given.score -> 'criteria' AS graded, given.score -> 'flags' AS flags,
  essay_scores.response_payload -> 'ratings' AS ratings
FROM newest
JOIN assessments ON assessments.id = newest.assessment_id
JOIN users ON users.id = assessments.user_id AND users.status NOT IN ('erasing', 'erased')
JOIN assessment_question_snapshots AS snapshot ON snapshot.id = newest.question_snapshot_id
CROSS JOIN LATERAL (
  SELECT document FROM result_revisions
  WHERE assessment_id = newest.assessment_id AND created_at <= newest.created_at ORDER BY revision DESC LIMIT 1
) AS seen
CROSS JOIN LATERAL jsonb_array_elements(seen.document -> 'scores') AS given (score)
LEFT JOIN essay_scores ON essay_scores.question_snapshot_id = newest.question_snapshot_id
WHERE given.score ->> 'question_id' = CAST(snapshot.question_id AS text)
  AND given.score ->> 'model' = :model AND given.score ->> 'prompt_version' = :prompt_version
  AND (newest.audit_sample OR given.score ->> 'needs_review' = 'true')
  AND NOT EXISTS (SELECT FROM appeals WHERE appeals.review_id = newest.id)
  AND NOT EXISTS (
    SELECT FROM essay_reviews AS earlier
    WHERE earlier.assessment_id = newest.assessment_id AND earlier.question_snapshot_id = newest.question_snapshot_id
      AND (earlier.created_at, earlier.id) < (newest.created_at, newest.id)
  )
""")


class SqlReviewedLevels(Repository):
    async def of_model(self, organization_id: UUID, model: str, prompt_version: str) -> tuple[ReviewedLevel, ...]:
        wanted = {"organization_id": organization_id, "model": model, "prompt_version": prompt_version}
        rows = await self._session.execute(_REVIEWED, wanted | {"most": MOST_REVIEWS})
        return tuple(level for row in rows if {*(row.flags or ())} <= {TOO_SHORT} for level in _levels(row))


def _levels(row: Row[Any]) -> Iterator[ReviewedLevel]:
    """Yield the levels of an essay. Scores without a calibration have only one confidence."""
    raw = {rating["criterion"]: rating.get("raw_confidence") for rating in row.ratings or ()}
    for rating in row.graded:
        criterion = rating["criterion"]
        if criterion in row.reviewed:
            yield ReviewedLevel(
                key=CriterionKey(row.version, criterion),
                confidence=Decimal(str(raw.get(criterion) or rating["confidence"])),
                confirmed=rating["level"] == row.reviewed[criterion],
            )
