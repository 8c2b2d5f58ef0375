"""Publish a result: its current rows, the immutable revision and the event, in the caller's transaction."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, case, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.results import Publication, Published, Result, Scores
from domain.assessments.steps import Step
from domain.errors import NotFound
from domain.grading.scores import DegradedReason, EssayScore, RuleScore
from domain.webhooks.deliveries import Delivery
from persistence.repositories.assessments import transition
from persistence.repositories.bulk import Keys, Rows, insert_rows
from persistence.repositories.documents import decode
from persistence.repositories.events import EventType, deliveries_in, event_rows
from persistence.repositories.result_document import recommendation_id, result_document
from persistence.repositories.result_rows import result_rows
from persistence.tables import (
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
"""The rows that a later revision overwrites, and the columns that identify them."""

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
_OPEN: Final = _jobs.c.status.in_(("queued", "running"))

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
# The outputs of a failed run are not needed any more, and they quote the student.
_CLOSE_JOBS: Final = (
    update(_jobs)
    .where(_jobs.c.assessment_id == bindparam("of_assessment"), _jobs.c.run == bindparam("of_run"))
    .values(
        status=case((_OPEN, "stale"), else_=_jobs.c.status),
        completed_at=case((_OPEN, func.clock_timestamp()), else_=_jobs.c.completed_at),
        payload=None,
    )
)
_PUBLISHED: Final = text("""
SELECT r.degraded_reasons,
  (SELECT jsonb_agg(jsonb_build_object('snapshot_id', question_snapshot_id, 'points', score::text,
      'explanation', explanation) || rules_applied) FROM rule_scores WHERE assessment_id = r.assessment_id) AS rules,
  (SELECT jsonb_agg(response_payload) FROM essay_scores WHERE assessment_id = r.assessment_id) AS essays
FROM recommendations AS r WHERE r.assessment_id = :assessment_id
""")


class SqlResults:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def publish(self, assessment: Assessment, now: datetime, result: Result) -> Publication:
        after = _after(assessment, now, result)
        moved = await transition(self._session, assessment, after, needs_review=result.needs_review)
        deliveries = await self._write(after, now, moved.submitted_at or now, result)
        await self._session.execute(
            _CLEAR_PAYLOADS, {"of_assessment": after.id, "of_run": after.run, "of_revision": after.revision}
        )
        return Publication(
            assessment_id=after.id,
            recommendation_id=recommendation_id(after),
            revision=after.revision,
            degraded_reasons=tuple(result.degraded_reasons),
            needs_review=result.needs_review,
            heals=after.healing is Healing.DUE,
            deliveries=deliveries,
        )

    async def fail(self, before: Assessment, after: Assessment) -> tuple[Delivery, ...]:
        moved = await transition(self._session, before, after)
        await self._session.execute(_CLOSE_JOBS, {"of_assessment": after.id, "of_run": after.run})
        about = {"reason": after.failure_reason}
        event = await event_rows(self._session, EventType.FAILED, after, moved.at, about)
        await insert_rows(self._session, event)
        return deliveries_in(event)

    async def published(self, assessment_id: UUID) -> Published:
        row = (await self._session.execute(_PUBLISHED, {"assessment_id": assessment_id})).one_or_none()
        if row is None:
            raise NotFound(f"Assessment {assessment_id} has no result")
        return Published(
            scores=Scores(
                rules=tuple(decode(RuleScore, rule) for rule in row.rules or ()),
                essays=tuple(decode(EssayScore, essay) for essay in row.essays or ()),
            ),
            degraded_reasons=tuple(DegradedReason(reason) for reason in row.degraded_reasons),
        )

    async def _write(
        self, after: Assessment, now: datetime, submitted_at: datetime, result: Result
    ) -> tuple[Delivery, ...]:
        """Write a revision in one statement; first delete the evidence of an earlier revision.

        A later revision repeats the latency of the first, which is how long the student waited.
        """
        waited = (after.completed_at or now) - submitted_at
        metrics = result.metrics(total_latency_ms=round(waited.total_seconds() * 1000))
        if after.revision > 1:
            for previous in _PREVIOUS:
                await self._session.execute(previous, {"recommendation": recommendation_id(after)})
        found = await self._session.execute(_QUESTIONS, {"assessment_id": after.id})
        questions = {row.id: row.question_id for row in found}
        document = result_document(after, result, metrics, questions)
        about = {"needs_review": result.needs_review}
        if after.revision == 1:
            event = await event_rows(self._session, EventType.COMPLETED, after, now, about)
        else:
            event = await event_rows(self._session, EventType.UPDATED, after, now, about | {"lowered": result.lowered})
        rows: Rows = {
            **result_rows(after, now, result, metrics),
            ResultRevisionRow: [
                {"assessment_id": after.id, "revision": after.revision, "document": document, "created_at": now}
            ],
            **event,
        }
        await insert_rows(self._session, rows, replace=_CURRENT)
        return deliveries_in(event)


def _after(assessment: Assessment, now: datetime, result: Result) -> Assessment:
    """Return the assessment after publishing: the first revision completes it.

    Healing that was given up stays so until it is requested again.
    """
    degraded = bool(result.degraded_reasons)
    if assessment.status is not AssessmentStatus.COMPLETED:
        return assessment.complete(now, degraded=degraded, healing=Healing.DUE if result.heals else Healing.NONE)
    given_up = assessment.healing in {Healing.FINAL, Healing.STOPPED}
    healing = assessment.healing if given_up else Healing.DUE
    return assessment.revise(degraded=degraded, healing=healing if result.heals else Healing.NONE)
