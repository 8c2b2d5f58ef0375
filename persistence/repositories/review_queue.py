"""Keep the review queue equal to the published results and to the stored reviews."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text

from domain.assessments.lifecycle import Assessment
from domain.errors import CorruptData
from domain.grading.review_queue import DOUBTS, Repaired, ReviewReason, review_reasons
from domain.grading.scores import EssayScore
from domain.sweeps import Cursor
from persistence.repositories.base import Repository
from persistence.repositories.documents import decode
from persistence.repositories.organizations import SqlOrganizations
from persistence.tables.base import Json

Reasons: TypeAlias = Mapping[UUID, tuple[ReviewReason, ...]]
"""Reasons by snapshot id."""

# An item waits until a review of it is stored; the review's publication then deletes the row. An appealed item waits
# until its appeal is answered.
_WAITS: Final = """('appealed' = ANY({reasons}) OR NOT EXISTS (
  SELECT FROM essay_reviews AS review
  WHERE review.assessment_id = {item}.assessment_id AND review.question_snapshot_id = {item}.question_snapshot_id
    AND review.published_revision IS NULL))"""

_SYNC: Final = text(f"""
WITH wanted AS (
  SELECT snapshot.id AS question_snapshot_id, assessment.id AS assessment_id, assessment.organization_id,
    assessment.user_id, assessment.role_id, snapshot.question_id, given.reasons, assessment.revision,
    coalesce(assessment.submitted_at, assessment.completed_at, assessment.created_at) AS submitted_at
  FROM jsonb_to_recordset(CAST(:items AS jsonb)) AS given (snapshot_id uuid, reasons text[])
  JOIN assessment_question_snapshots AS snapshot ON snapshot.id = given.snapshot_id
  JOIN assessments AS assessment ON assessment.id = snapshot.assessment_id
), deleted AS (
  DELETE FROM review_items WHERE assessment_id = ANY(:assessments) AND NOT 'appealed' = ANY(reasons)
    AND question_snapshot_id NOT IN (SELECT question_snapshot_id FROM wanted)
), only_appealed AS (
  UPDATE review_items AS item SET reasons = '{{appealed}}', revision = assessment.revision
  FROM assessments AS assessment
  WHERE item.assessment_id = ANY(:assessments) AND assessment.id = item.assessment_id
    AND 'appealed' = ANY(item.reasons)
    AND item.question_snapshot_id NOT IN (SELECT question_snapshot_id FROM wanted)
)
INSERT INTO review_items AS item (question_snapshot_id, assessment_id, organization_id, user_id, role_id, question_id,
  reasons, revision, submitted_at, waiting)
SELECT wanted.*, {_WAITS.format(reasons="wanted.reasons", item="wanted")} FROM wanted
ON CONFLICT (question_snapshot_id) DO UPDATE SET
  reasons = CASE WHEN 'appealed' = ANY(item.reasons) THEN '{{appealed}}'::text[] ELSE '{{}}' END || excluded.reasons,
  revision = excluded.revision,
  waiting = 'appealed' = ANY(item.reasons) OR excluded.waiting
""")  # noqa: S608  # fragments of this file

_ADD_APPEAL: Final = text("""
INSERT INTO review_items AS item (question_snapshot_id, assessment_id, organization_id, user_id, role_id, question_id,
  reasons, revision, submitted_at, waiting)
SELECT snapshot.id, assessment.id, assessment.organization_id, assessment.user_id, assessment.role_id,
  snapshot.question_id, '{appealed}', assessment.revision,
  coalesce(assessment.submitted_at, assessment.completed_at, assessment.created_at), true
FROM assessment_question_snapshots AS snapshot JOIN assessments AS assessment ON assessment.id = snapshot.assessment_id
WHERE snapshot.id = :snapshot_id
ON CONFLICT (question_snapshot_id) DO UPDATE SET
  reasons = '{appealed}' || array_remove(item.reasons, 'appealed'), waiting = true
""")
_CLOSE_APPEAL: Final = text(f"""
WITH deleted AS (
  DELETE FROM review_items WHERE question_snapshot_id = :snapshot_id AND reasons = '{{appealed}}'
)
UPDATE review_items AS item SET reasons = array_remove(item.reasons, 'appealed'),
  waiting = {_WAITS.format(reasons="array_remove(item.reasons, 'appealed')", item="item")}
WHERE question_snapshot_id = :snapshot_id AND reasons <> '{{appealed}}'
""")  # noqa: S608  # fragments of this file

_ACTIVE: Final = "users.status NOT IN ('erasing', 'erased')"
_DOUBTFUL: Final = f"item.reasons && '{{{', '.join(DOUBTS)}}}'"

# A repair goes through the results with rows, in the order of their ids, and then through the doubtful results. An
# index returns each page, so the cost of a page does not grow with the queue.
_WITH_ROWS: Final = text("""
SELECT assessment_id AS id, NULL AS at FROM review_items WHERE assessment_id > :id GROUP BY assessment_id
ORDER BY assessment_id LIMIT :limit
""")
_DOUBTFUL_RESULTS: Final = text("""
SELECT id, created_at AS at FROM assessments
WHERE needs_review AND (organization_id, created_at, id)
  > (coalesce((SELECT organization_id FROM assessments WHERE id = :id), :id), :at, :id)
ORDER BY organization_id, created_at, id LIMIT :limit
""")
_FIRST: Final = Cursor(id=UUID(int=0))
_FIRST_DOUBTFUL: Final = Cursor(id=UUID(int=0), at=datetime(1970, 1, 1, tzinfo=UTC))

# The users' rows are locked too, so that an erasure is either seen here or deletes what is written here.
_DIFFERING: Final = text(f"""
SELECT assessment.id, assessment.organization_id
FROM assessments AS assessment JOIN users ON users.id = assessment.user_id
CROSS JOIN LATERAL (
  SELECT bool_or(item.revision <> assessment.revision) AS outdated, bool_or({_DOUBTFUL}) AS doubtful
  FROM review_items AS item WHERE item.assessment_id = assessment.id
) AS queued
WHERE assessment.id = ANY(:page) AND {_ACTIVE} AND (outdated OR needs_review AND doubtful IS NOT TRUE)
ORDER BY assessment.id
FOR UPDATE OF assessment SKIP LOCKED FOR SHARE OF users SKIP LOCKED
""")  # noqa: S608  # fragments of this file

# An essay whose answer was deleted by retention cannot be reviewed.
_REVIEWABLE: Final = text("""
SELECT score.assessment_id, score.question_snapshot_id, score.response_payload FROM essay_scores AS score
JOIN assessment_responses AS response
  ON response.assessment_id = score.assessment_id AND response.question_snapshot_id = score.question_snapshot_id
WHERE score.assessment_id = ANY(:assessments)
""")
_CLEAR_FLAG: Final = text(f"""
UPDATE assessments SET needs_review = false
WHERE id = ANY(:assessments) AND needs_review AND NOT EXISTS (
  SELECT FROM review_items AS item WHERE item.assessment_id = assessments.id AND {_DOUBTFUL})
""")  # noqa: S608  # fragments of this file


class SqlReviewQueue(Repository):
    async def publish(self, assessment: Assessment, essays: Sequence[EssayScore], share: float) -> None:
        """Write the rows of the result that this transaction publishes as `assessment`. Open appeals stay.

        `share` is the organization's share of essays to audit.
        """
        reasons = {score.snapshot_id: review_reasons(score, share) for score in essays}
        if assessment.revision > 1 or any(reasons.values()):  # before the first result there are no rows
            await self._sync([assessment.id], reasons)

    async def repair(self, *, after: Cursor | None, limit: int) -> Repaired:
        after = after or _FIRST
        position = {"id": after.id, "limit": limit} | ({} if after.at is None else {"at": after.at})
        page = (await self._session.execute(_WITH_ROWS if after.at is None else _DOUBTFUL_RESULTS, position)).all()
        found = (await self._session.execute(_DIFFERING, {"page": [row.id for row in page]})).all()
        if found:
            await self._repair({row.id: row.organization_id for row in found})
        if len(page) == limit:
            return Repaired(number=len(found), next=Cursor(id=page[-1].id, at=page[-1].at))
        return Repaired(number=len(found), next=_FIRST_DOUBTFUL if after.at is None else None)

    async def add_appeal(self, snapshot_id: UUID) -> None:
        await self._session.execute(_ADD_APPEAL, {"snapshot_id": snapshot_id})

    async def close_appeal(self, snapshot_id: UUID) -> None:
        await self._session.execute(_CLOSE_APPEAL, {"snapshot_id": snapshot_id})

    async def _repair(self, organizations: Mapping[UUID, UUID]) -> None:
        these = {"assessments": list(organizations)}
        settings = SqlOrganizations(self._session).settings
        shares = {each: (await settings(each)).audit_share for each in set(organizations.values())}
        rows = await self._session.execute(_REVIEWABLE, these)
        reasons = {
            row.question_snapshot_id: _stored_reasons(row.response_payload, shares[organizations[row.assessment_id]])
            for row in rows
        }
        await self._sync(list(organizations), reasons)
        await self._session.execute(_CLEAR_FLAG, these)

    async def _sync(self, assessments: list[UUID], reasons: Reasons) -> None:
        items = [{"snapshot_id": each, "reasons": why} for each, why in reasons.items() if why]
        await self._session.execute(_SYNC, {"assessments": assessments, "items": to_json(items).decode()})


def _stored_reasons(score: Json, audit_share: float) -> tuple[ReviewReason, ...]:
    """Return the reasons of a stored score. One that cannot be read is left to a reviewer."""
    try:
        return review_reasons(decode(EssayScore, score), audit_share)
    except CorruptData:
        return (ReviewReason.ABSTAINED,)
