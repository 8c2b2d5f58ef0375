"""Publishing: the current rows, the immutable revision and the event, in the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments import Assessment, Healing
from domain.results import Publication, Result
from domain.steps import Step
from persistence import mappers
from persistence.assessments import transition
from persistence.bulk import Keys, Rows, insert_rows
from persistence.events import EventType, event_id, event_rows
from persistence.result_document import recommendation_id, result_document
from persistence.result_rows import result_rows
from persistence.tables import (
    AssessmentRow,
    AsyncJobRow,
    EssayScoreRow,
    QuestionSnapshotRow,
    RagTraceRow,
    RecommendationItemRow,
    RecommendationRow,
    ResultRevisionRow,
    RuleScoreRow,
)
from persistence.tables.base import table_of

_CURRENT: Final[Keys] = {
    RuleScoreRow: ("assessment_id", "question_snapshot_id"),
    EssayScoreRow: ("assessment_id", "question_snapshot_id"),
    RecommendationRow: ("assessment_id",),
}
"""The rows that a later revision overwrites, by what stays the same."""

_assessments: Final = table_of(AssessmentRow)
_recommendations: Final = table_of(RecommendationRow)
_snapshots: Final = table_of(QuestionSnapshotRow)
_jobs: Final = table_of(AsyncJobRow)

_QUESTIONS: Final = (
    select(_snapshots.c.id, _snapshots.c.question_id)
    .where(_snapshots.c.assessment_id == bindparam("assessment_id"))
    .order_by(_snapshots.c.position)
)
_PREVIOUS: Final = tuple(
    delete(table).where(table.c.recommendation_id == bindparam("recommendation"))
    for table in (table_of(RecommendationItemRow), table_of(RagTraceRow))
)
_CLEAR_PAYLOADS: Final = (
    update(_jobs)
    .where(
        _jobs.c.assessment_id == bindparam("of_assessment"),
        _jobs.c.run == bindparam("of_run"),
        _jobs.c.revision == bindparam("of_revision"),
        _jobs.c.job_type != Step.PUBLISH_RESULT.value,
    )
    .values(payload=None)
)
_CLOSE_JOBS: Final = (
    update(_jobs)
    .where(
        _jobs.c.assessment_id == bindparam("of_assessment"),
        _jobs.c.run == bindparam("of_run"),
        _jobs.c.status.in_(("queued", "running")),
    )
    .values(status="stale", completed_at=func.clock_timestamp())
)
_PUBLISHED: Final = (
    select(*mappers.ASSESSMENT_COLUMNS, _assessments.c.needs_review, _recommendations.c.degraded_reasons)
    .join(_recommendations, _recommendations.c.assessment_id == _assessments.c.id)
    .where(_assessments.c.id == bindparam("assessment_id"))
)


class SqlResults:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def publish(self, assessment: Assessment, now: datetime, result: Result) -> Publication:
        healing = Healing.DUE if result.heals else Healing.NONE
        after = assessment.complete(now, degraded=bool(result.degraded_reasons), healing=healing)
        moved = await transition(self._session, assessment, after, needs_review=result.needs_review)
        await self._write(after, now, moved.submitted_at or now, result)
        await self._session.execute(
            _CLEAR_PAYLOADS, {"of_assessment": after.id, "of_run": after.run, "of_revision": after.revision}
        )
        return _publication(after, result.degraded_reasons, needs_review=result.needs_review)

    async def fail(self, before: Assessment, after: Assessment) -> None:
        moved = await transition(self._session, before, after)
        await self._session.execute(_CLOSE_JOBS, {"of_assessment": after.id, "of_run": after.run})
        about = {"reason": after.failure_reason}
        await insert_rows(self._session, await event_rows(self._session, EventType.FAILED, after, moved.at, about))

    async def published(self, assessment_id: UUID) -> Publication | None:
        rows = await self._session.execute(_PUBLISHED, {"assessment_id": assessment_id})
        row = rows.mappings().one_or_none()
        if row is None:
            return None
        return _publication(mappers.assessment(row), row["degraded_reasons"], needs_review=row["needs_review"])

    async def _write(self, after: Assessment, now: datetime, submitted_at: datetime, result: Result) -> None:
        """Everything one revision says, in one statement but for what replaces an earlier revision's evidence."""
        metrics = result.metrics(total_latency_ms=round((now - submitted_at).total_seconds() * 1000))
        if after.revision > 1:
            for previous in _PREVIOUS:
                await self._session.execute(previous, {"recommendation": recommendation_id(after)})
        found = await self._session.execute(_QUESTIONS, {"assessment_id": after.id})
        questions = {row.id: row.question_id for row in found}
        document = result_document(after, result, metrics, questions)
        rows: Rows = {
            **result_rows(after, now, result, metrics),
            ResultRevisionRow: [{"assessment_id": after.id, "revision": after.revision, "document": document}],
            **await event_rows(self._session, EventType.COMPLETED, after, now, {"needs_review": result.needs_review}),
        }
        await insert_rows(self._session, rows, replace=_CURRENT)


def _publication(after: Assessment, degraded_reasons: Sequence[str], *, needs_review: bool) -> Publication:
    return Publication(
        assessment_id=after.id,
        recommendation_id=recommendation_id(after),
        revision=after.revision,
        degraded_reasons=tuple(str(reason) for reason in degraded_reasons),
        needs_review=needs_review,
        event_ids=(event_id(EventType.COMPLETED, after),),
    )
