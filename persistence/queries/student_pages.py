"""Reads for the pages of students: what roles ask, flagged questions, recommended credentials, progress of a run."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text

from domain.assessments.progress import RunProgress
from persistence.queries.reader import Reader
from persistence.queries.views import AccessScope
from persistence.tables import CredentialRow, FlaggedQuestionRow, QuestionRow, QuestionSnapshotRow
from persistence.tables.base import table_of

_questions: Final = table_of(QuestionRow).c
PROGRESS_CHANNEL: Final = "assessment_progress"
"""The channel on which triggers of the tables notify the id of an assessment whose progress has changed."""

# The jobs of the first result have revision 1. Jobs of later revisions do not count: the result is published already.
_PROGRESS: Final = text("""
SELECT a.run, a.submitted_at IS NOT NULL AND a.status <> 'in_progress' AS submitted,
  a.claimed_at IS NOT NULL AS claimed,
  coalesce(bool_or(j.job_type = 'score_rules' AND j.status = 'succeeded'), false) AS rules_scored,
  count(*) FILTER (WHERE j.job_type = 'score_essay' AND j.status = 'succeeded') AS essays_scored,
  count(*) FILTER (WHERE j.job_type = 'score_essay') AS essays,
  coalesce(bool_or(j.job_type = 'retrieve_evidence' AND j.status = 'succeeded'), false) AS retrieved,
  coalesce(bool_or(j.job_type = 'blend_recommendations' AND j.status = 'succeeded'), false) AS ranked,
  a.status = 'completed' AS published,
  a.status = 'completed' AND a.released_revision IS DISTINCT FROM 0 AS released, a.status = 'failed' AS failed
FROM assessments AS a
LEFT JOIN async_jobs AS j ON j.assessment_id = a.id AND j.run = a.run AND j.revision = 1
WHERE a.id = :assessment_id AND a.organization_id = :organization_id
  AND (CAST(:user_id AS uuid) IS NULL OR a.user_id = :user_id)
GROUP BY a.id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedView:
    """The number of active questions of a role by the kind of their answer."""

    role_id: UUID
    kind: str
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialDetail:
    """A credential of the catalogue, also if it was withdrawn meanwhile."""

    id: UUID
    title: str
    description: str
    provider: str
    level: str
    hours: Decimal
    source_uri: str
    prerequisites: list[UUID]


class StudentPageQueries(Reader):
    async def asked(self) -> list[AskedView]:
        """Return how many questions each role asks, by kind."""
        statement = (
            select(_questions.role_id, _questions.kind, func.count().label("questions"))
            .where(_questions.active)
            .group_by(_questions.role_id, _questions.kind)
            .order_by(_questions.role_id, _questions.kind)
        )
        return await self._all(AskedView, statement)

    async def flagged(self, assessment_id: UUID) -> frozenset[UUID]:
        """Return the snapshot ids of the flagged questions of an assessment. The caller has checked its visibility."""
        statement = (
            select(FlaggedQuestionRow.question_snapshot_id)
            .join(QuestionSnapshotRow, QuestionSnapshotRow.id == FlaggedQuestionRow.question_snapshot_id)
            .where(QuestionSnapshotRow.assessment_id == assessment_id)
        )
        async with self._connection() as connection:
            return frozenset((await connection.scalars(statement)).all())

    async def credentials(self, ids: Collection[UUID]) -> dict[UUID, CredentialDetail]:
        """Return these credentials by id, also withdrawn ones."""
        statement = select(
            CredentialRow.id,
            CredentialRow.title,
            CredentialRow.description,
            CredentialRow.provider,
            CredentialRow.level,
            CredentialRow.hours,
            CredentialRow.source_uri,
            CredentialRow.prerequisites,
        ).where(CredentialRow.id.in_(ids))
        return {each.id: each for each in await self._all(CredentialDetail, statement)}

    async def progress(self, assessment_id: UUID, viewer: AccessScope) -> RunProgress | None:
        """Return the stored progress of the assessment's current run; None if it is outside the viewer's scope."""
        parameters = {
            "assessment_id": assessment_id,
            "organization_id": viewer.organization_id,
            "user_id": viewer.user_id,
        }
        async with self._connection() as connection:
            row = (await connection.execute(_PROGRESS, parameters)).mappings().one_or_none()
        return None if row is None else RunProgress(**row)
