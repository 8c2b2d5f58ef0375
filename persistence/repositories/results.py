"""Publish a result: its current rows, the immutable revision and the event, in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, case, delete, func, null, text, update
from sqlalchemy.dialects.postgresql import JSONB

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.release import holds, is_lowered
from domain.assessments.results import Publication, Published, Result, Scores
from domain.assessments.steps import Step
from domain.errors import NotFound
from domain.grading.scores import DegradedReason, EssayScore, RuleScore
from domain.organizations import OrganizationSettings
from domain.webhooks.deliveries import Delivery
from persistence.repositories.assessments import transition
from persistence.repositories.base import Repository
from persistence.repositories.bulk import Keys, Rows, insert_rows
from persistence.repositories.documents import decode, encode
from persistence.repositories.events import EventType, deliveries_in, event_rows
from persistence.repositories.mappers import AnyRow
from persistence.repositories.releases import points_of, publication_events
from persistence.repositories.result_document import recommendation_id, result_document
from persistence.repositories.result_rows import result_rows
from persistence.repositories.review_queue import SqlReviewQueue
from persistence.tables import (
    AsyncJobRow,
    EssayScoreRow,
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

_jobs: Final = table_of(AsyncJobRow)

# One row: the organization's settings, the questions in order, and the item scores that the student sees now.
_CONTEXT: Final = text("""
SELECT organization.settings,
  (SELECT jsonb_agg(jsonb_build_array(id, question_id) ORDER BY position)
   FROM assessment_question_snapshots WHERE assessment_id = a.id) AS questions,
  (SELECT document -> 'scores' FROM result_revisions
   WHERE assessment_id = a.id AND revision = coalesce(a.released_revision, a.revision)) AS shown
FROM assessments AS a JOIN organizations AS organization ON organization.id = a.organization_id
WHERE a.id = :assessment_id
""")
_PREVIOUS: Final = tuple(
    delete(table).where(table.c.recommendation_id == bindparam("recommendation"))
    for table in (table_of(RecommendationItemRow), table_of(RagTraceRow))
)
_OPEN: Final = _jobs.c.status.in_(("queued", "running"))

_PUBLISHES: Final = _jobs.c.job_type == Step.PUBLISH_RESULT.value
# The step that publishes also ranks, so the ranking's job ends here, too, unless an earlier build's step has ended it.
_ENDS: Final = _jobs.c.job_type.in_((Step.PUBLISH_RESULT.value, Step.BLEND_RECOMMENDATIONS.value))

_END_JOBS: Final = (
    update(_jobs)
    .where(
        _jobs.c.assessment_id == bindparam("of_assessment"),
        _jobs.c.run == bindparam("of_run"),
        _jobs.c.revision == bindparam("of_revision"),
    )
    .values(
        payload=case((_PUBLISHES, bindparam("publication", type_=JSONB)), else_=null()),
        status=case((_ENDS, "succeeded"), else_=_jobs.c.status),
        error_payload=case((_ENDS, null()), else_=_jobs.c.error_payload),
        completed_at=case(
            (_ENDS, func.coalesce(_jobs.c.completed_at, func.clock_timestamp())), else_=_jobs.c.completed_at
        ),
    )
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
SCORE_COLUMNS: Final = """
  (SELECT jsonb_agg(jsonb_build_object('snapshot_id', question_snapshot_id, 'points', score::text,
      'explanation', explanation) || rules_applied) FROM rule_scores WHERE assessment_id = {id}) AS rules,
  (SELECT jsonb_agg(response_payload) FROM essay_scores WHERE assessment_id = {id}) AS essays
"""
"""The current scores of the assessment `{id}` as two columns, for `scores_of`."""
_PUBLISHED: Final = text(f"""
SELECT r.degraded_reasons, {SCORE_COLUMNS.format(id="r.assessment_id")}
FROM recommendations AS r WHERE r.assessment_id = :assessment_id
""")  # noqa: S608  # a fragment of this file


class SqlResults(Repository):
    async def publish(self, assessment: Assessment, now: datetime, result: Result) -> Publication:
        context = await self._context(assessment.id)
        lowered = context.is_lowered_by(result)
        held = holds(context.settings.release, needs_review=result.needs_review, lowered=lowered)
        after = _after(assessment, now, result, held=held)
        moved = await transition(self._session, assessment, after, needs_review=result.needs_review)
        events = publication_events(assessment, after, needs_review=result.needs_review, lowered=lowered)
        event = await event_rows(self._session, after, now, events)
        await self._write(after, now, moved.submitted_at or now, result, context.questions, event)
        if result.essay_scores:
            await SqlReviewQueue(self._session).publish(after, result.essay_scores, context.settings.audit_share)
        publication = Publication(
            assessment_id=after.id,
            recommendation_id=recommendation_id(after),
            revision=after.revision,
            degraded_reasons=tuple(result.degraded_reasons),
            needs_review=result.needs_review,
            heals=after.healing is Healing.DUE,
            held=after.held,
            deliveries=deliveries_in(event),
        )
        run = {"of_assessment": after.id, "of_run": after.run, "of_revision": after.revision}
        await self._session.execute(_END_JOBS, run | {"publication": encode(publication)})
        return publication

    async def fail(self, before: Assessment, after: Assessment) -> tuple[Delivery, ...]:
        moved = await transition(self._session, before, after)
        await self._session.execute(_CLOSE_JOBS, {"of_assessment": after.id, "of_run": after.run})
        failed = {EventType.FAILED: {"reason": after.failure_reason}}
        event = await event_rows(self._session, after, moved.at, failed)
        await insert_rows(self._session, event)
        return deliveries_in(event)

    async def published(self, assessment_id: UUID) -> Published:
        row = (await self._session.execute(_PUBLISHED, {"assessment_id": assessment_id})).one_or_none()
        if row is None:
            raise NotFound(f"Assessment {assessment_id} has no result")
        return Published(
            scores=scores_of(row),
            degraded_reasons=tuple(DegradedReason(reason) for reason in row.degraded_reasons),
        )

    async def _context(self, assessment_id: UUID) -> "_Context":
        row = (await self._session.execute(_CONTEXT, {"assessment_id": assessment_id})).one()
        return _Context(
            settings=decode(OrganizationSettings, row.settings),
            questions={UUID(snapshot): UUID(question) for snapshot, question in row.questions or ()},
            shown=points_of(row.shown),
        )

    async def _write(  # noqa: PLR0913, PLR0917  # the parts of a revision
        self,
        after: Assessment,
        now: datetime,
        submitted_at: datetime,
        result: Result,
        questions: Mapping[UUID, UUID],
        event: Rows,
    ) -> None:
        """Write a revision in one statement; first delete the evidence of an earlier revision.

        A later revision repeats the latency of the first, which is how long the student waited.
        """
        waited = (after.completed_at or now) - submitted_at
        metrics = result.metrics(total_latency_ms=round(waited.total_seconds() * 1000))
        if after.revision > 1:
            for previous in _PREVIOUS:
                await self._session.execute(previous, {"recommendation": recommendation_id(after)})
        revision = {
            "assessment_id": after.id,
            "revision": after.revision,
            "document": result_document(after, result, metrics, questions),
            "created_at": now,
            "held": after.held,
        }
        rows: Rows = {**result_rows(after, now, result, metrics), ResultRevisionRow: [revision], **event}
        await insert_rows(self._session, rows, replace=_CURRENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What a publication depends on: settings, each snapshot's question, and the points shown so far."""

    settings: OrganizationSettings
    questions: Mapping[UUID, UUID]
    shown: Mapping[UUID, Decimal | None]

    def is_lowered_by(self, result: Result) -> bool:
        asked = self.questions.items()
        return is_lowered(self.shown, {question: result.points.get(snapshot) for snapshot, question in asked})


def scores_of(row: AnyRow) -> Scores:
    """Convert the columns of `SCORE_COLUMNS`."""
    return Scores(
        rules=decode(tuple[RuleScore, ...], row.rules or ()), essays=decode(tuple[EssayScore, ...], row.essays or ())
    )


def _after(assessment: Assessment, now: datetime, result: Result, *, held: bool) -> Assessment:
    """Return the assessment after publishing: the first revision completes it.

    Healing that was given up stays so until it is requested again.
    """
    degraded = bool(result.degraded_reasons)
    if assessment.status is not AssessmentStatus.COMPLETED:
        healing = Healing.DUE if result.heals else Healing.NONE
        return assessment.complete(now, degraded=degraded, healing=healing, held=held)
    given_up = assessment.healing in {Healing.FINAL, Healing.STOPPED}
    healing = assessment.healing if given_up else Healing.DUE
    return assessment.revise(degraded=degraded, healing=healing if result.heals else Healing.NONE, held=held)
