"""Read queries for the statistics of `domain.quality`. Each reads at most MAX_ROWS rows of one organization.

Users who are being erased are excluded everywhere.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text

from domain.quality.agreement import Pair, ReviewedAnswer, Scale, sample_of
from domain.quality.scored_assessments import ItemVersion, ScoredAssessment, ScoredItem
from persistence.queries.reader import Reader

MAX_ROWS: Final = 1_000
"""The newest reviewed answers, or the newest assessments, that a query reads."""

# The sample is that of an item's first review. The levels are those of its newest review; reviews that answer appeals
# count only if there are no others. Students appeal grades that they believe to be wrong, so appeals would make the
# audit sample look worse than the grader is. The index of an organization's newest reviews ends the scan at the limit.
_REVIEWED: Final = text("""
SELECT first.assessment_id, first.audit_sample AS audited, snapshot.question_id, ruling.levels AS reviewed,
  EXISTS (SELECT FROM appeals WHERE appeals.review_id = first.id) AS appealed,
  coalesce(CAST(score ->> 'needs_review' AS boolean), false) AS doubted, score -> 'criteria' AS graded,
  (
    SELECT jsonb_object_agg(criterion ->> 'key', (
      SELECT jsonb_agg(level ->> 'name' ORDER BY place)
      FROM jsonb_array_elements(criterion -> 'levels') WITH ORDINALITY AS levels(level, place)
    )) FROM jsonb_array_elements(snapshot.rubric -> 'criteria') AS criterion
  ) AS scales
FROM essay_reviews AS first
JOIN assessments ON assessments.id = first.assessment_id
JOIN users ON users.id = assessments.user_id
JOIN assessment_question_snapshots AS snapshot ON snapshot.id = first.question_snapshot_id
CROSS JOIN LATERAL (
  SELECT review.levels FROM essay_reviews AS review
  WHERE review.assessment_id = first.assessment_id AND review.question_snapshot_id = first.question_snapshot_id
  ORDER BY EXISTS (SELECT FROM appeals WHERE appeals.review_id = review.id), review.created_at DESC, review.id DESC
  LIMIT 1
) AS ruling
CROSS JOIN LATERAL (
  SELECT document FROM result_revisions
  WHERE assessment_id = first.assessment_id AND created_at <= first.created_at ORDER BY revision DESC LIMIT 1
) AS seen
CROSS JOIN LATERAL jsonb_array_elements(seen.document -> 'scores') AS score
WHERE first.organization_id = :organization_id AND users.status NOT IN ('erasing', 'erased')
  AND NOT EXISTS (
    SELECT FROM essay_reviews AS earlier
    WHERE earlier.assessment_id = first.assessment_id AND earlier.question_snapshot_id = first.question_snapshot_id
      AND (earlier.created_at, earlier.id) < (first.created_at, first.id)
  )
  AND score ->> 'question_id' = CAST(snapshot.question_id AS text)
  AND (CAST(:role_id AS uuid) IS NULL OR assessments.role_id = :role_id)
  AND (CAST(:question_id AS uuid) IS NULL OR snapshot.question_id = :question_id)
  AND (CAST(:model AS text) IS NULL OR score ->> 'model' = :model)
  AND (CAST(:prompt_version AS text) IS NULL OR score ->> 'prompt_version' = :prompt_version)
  AND (CAST(:since AS timestamptz) IS NULL OR first.created_at >= :since)
ORDER BY first.created_at DESC, first.id DESC LIMIT :limit
""")

# A student's later attempts are left out: they are not independent of the first, whose result may name the answers.
_SCORED: Final = text("""
WITH newest AS MATERIALIZED (
  SELECT assessments.id, assessments.created_at, users.profile -> 'groups' AS groups
  FROM assessments JOIN users ON users.id = assessments.user_id
  WHERE assessments.organization_id = :organization_id AND assessments.status = 'completed'
    AND users.status NOT IN ('erasing', 'erased')
    AND (CAST(:role_id AS uuid) IS NULL OR assessments.role_id = :role_id)
    AND NOT EXISTS (
      SELECT FROM assessments AS earlier
      WHERE earlier.user_id = assessments.user_id AND earlier.role_id = assessments.role_id
        AND earlier.status = 'completed'
        AND (earlier.created_at, earlier.id) < (assessments.created_at, assessments.id)
    )
  ORDER BY assessments.created_at DESC, assessments.id DESC LIMIT :limit
)
SELECT newest.groups, CAST(json_agg(json_build_object(
  'snapshot_id', snapshot.id,
  'question_id', snapshot.question_id,
  'version', snapshot.version,
  'points', CAST(coalesce(rule.score, essay.score) AS double precision),
  'max_points', CAST(
    coalesce(rule.rules_applied ->> 'max_points', essay.response_payload ->> 'max_points') AS double precision),
  'answered', CASE WHEN rule.id IS NOT NULL THEN rule.rules_applied ->> 'rule' <> 'unanswered'
    ELSE essay.score IS NULL OR essay.model <> 'none' END,
  'chosen', CASE WHEN snapshot.kind IN ('single', 'multiple', 'scale') THEN response.answer END
)) AS text) AS items
FROM newest
JOIN assessment_question_snapshots AS snapshot ON snapshot.assessment_id = newest.id
LEFT JOIN rule_scores AS rule ON rule.assessment_id = newest.id AND rule.question_snapshot_id = snapshot.id
LEFT JOIN essay_scores AS essay ON essay.assessment_id = newest.id AND essay.question_snapshot_id = snapshot.id
LEFT JOIN assessment_responses AS response
  ON response.assessment_id = newest.id AND response.question_snapshot_id = snapshot.id
WHERE rule.id IS NOT NULL OR essay.id IS NOT NULL
GROUP BY newest.id, newest.created_at, newest.groups
ORDER BY newest.created_at DESC, newest.id DESC
""")

_ASKED: Final = text("""
SELECT snapshot.question_id, snapshot.version, snapshot.kind, snapshot.prompt, snapshot.choices,
  snapshot.rubric -> 'correct' AS correct, assessments.role_id
FROM assessment_question_snapshots AS snapshot JOIN assessments ON assessments.id = snapshot.assessment_id
WHERE assessments.organization_id = :organization_id AND snapshot.id = ANY(:snapshots)
ORDER BY assessments.role_id, snapshot.position, snapshot.question_id, snapshot.version
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFilter:
    """A filter of reviewed answers; conditions are combined with AND. `since` is about the first review."""

    role_id: UUID | None = None
    question_id: UUID | None = None
    model: str | None = None
    prompt_version: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """A version of a question. `choices` is None for kinds without choices, `correct` without right choices."""

    role_id: UUID
    kind: str
    prompt: str
    choices: tuple[str, ...] | None
    correct: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAssessments:
    """Assessments, newest first, and a snapshot of each item version in them."""

    assessments: tuple[ScoredAssessment, ...]
    snapshots: Mapping[ItemVersion, UUID]

    @property
    def newest_only(self) -> bool:
        """Whether there may be older assessments, which were not read."""
        return len(self.assessments) >= MAX_ROWS


class QualityQueries(Reader):
    async def reviewed_answers(self, organization_id: UUID, found: ReviewFilter) -> list[ReviewedAnswer]:
        """Return the newest reviewed answers, newest first."""
        rows = await self._rows(_REVIEWED, organization_id=organization_id, limit=MAX_ROWS, **asdict(found))
        return await asyncio.to_thread(_reviewed, rows)

    async def scored_assessments(self, organization_id: UUID, role_id: UUID | None) -> ScoredAssessments:
        """Return the first completed assessment of each student at each role."""
        rows = await self._rows(_SCORED, organization_id=organization_id, role_id=role_id, limit=MAX_ROWS)
        return await asyncio.to_thread(_scored, rows)

    async def asked_questions(
        self, organization_id: UUID, snapshots: Iterable[UUID]
    ) -> dict[ItemVersion, AskedQuestion]:
        """Return the questions of these snapshots, by role and in the order of the assessment."""
        rows = await self._rows(_ASKED, organization_id=organization_id, snapshots=list(snapshots))
        return {
            ItemVersion(row["question_id"], row["version"]): AskedQuestion(
                role_id=row["role_id"],
                kind=row["kind"],
                prompt=row["prompt"],
                choices=_several(row["choices"]),
                correct=_several(row["correct"]),
            )
            for row in rows
        }

    async def _rows(self, statement: TextClause, **parameters: object) -> Sequence[Mapping[str, Any]]:
        async with self._connection() as connection:
            found = await connection.execute(statement, parameters)
        return [dict(row) for row in found.mappings()]


def _reviewed(rows: Iterable[Mapping[str, Any]]) -> list[ReviewedAnswer]:
    return [
        ReviewedAnswer(
            assessment_id=row["assessment_id"],
            sample=sample_of(doubted=row["doubted"], audited=row["audited"], appealed=row["appealed"]),
            pairs=_pairs(row["question_id"], row["scales"], row["graded"], row["reviewed"]),
        )
        for row in rows
    ]


def _scored(rows: Iterable[Mapping[str, Any]]) -> ScoredAssessments:
    """Decode the assessments. The items of an assessment are sorted, so that sums are the same every time."""
    versions: dict[tuple[str, str], ItemVersion] = {}
    snapshots: dict[ItemVersion, UUID] = {}
    assessments = []
    for row in rows:
        stored = sorted(json.loads(row["items"]), key=lambda each: (each["question_id"], each["version"]))
        items = []
        for each in stored:
            key = (each["question_id"], each["version"])
            if key not in versions:
                versions[key] = ItemVersion(UUID(key[0]), key[1])
                snapshots[versions[key]] = UUID(each["snapshot_id"])
            items.append(
                ScoredItem(
                    item=versions[key],
                    points=each["points"],
                    max_points=each["max_points"],
                    answered=each["answered"],
                    chosen=_several(each["chosen"]) or (),
                )
            )
        assessments.append(ScoredAssessment(items=tuple(items), groups=row["groups"] or {}))
    return ScoredAssessments(assessments=tuple(assessments), snapshots=snapshots)


def _pairs(
    question_id: UUID,
    scales: Mapping[str, Sequence[str]],
    graded: Iterable[Mapping[str, Any]],
    reviewed: Mapping[str, str],
) -> dict[Scale, Pair]:
    """Pair the levels of each criterion. A level that the asked rubric does not have is left out."""
    pairs = {}
    for rating in graded:
        criterion, names = rating["criterion"], tuple(scales.get(rating["criterion"], ()))
        levels = (rating["level"], reviewed.get(criterion))
        if all(level in names for level in levels):
            scale = Scale(question_id=question_id, criterion=criterion, levels=names)
            before, after = (names.index(str(level)) for level in levels)
            pairs[scale] = Pair(before, after, float(rating["confidence"]))
    return pairs


def _several(stored: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return one or several stored choices as a tuple."""
    if stored is None:
        return None
    return (stored,) if isinstance(stored, str) else tuple(stored)
