"""Publishing writes one current result, one immutable revision and one event. Publishing twice changes nothing."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.ports import JobKey
from domain.assessments.results import Publication, Result
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import Conflict, CorruptData, NotFound
from domain.grading.scores import DegradedReason
from persistence.tables import (
    AssessmentRow,
    AsyncJobRow,
    AuditLogRow,
    EssayScoreRow,
    MetricSnapshotRow,
    RagTraceRow,
    RecommendationItemRow,
    RecommendationRow,
    ResultRevisionRow,
    RuleScoreRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
    WebhookEventRow,
)
from tests.support.builders import a_result, an_assessment, some_credentials


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    submitted_at = datetime.now(UTC) - timedelta(seconds=2)
    return await an_assessment(session, status="awaiting_async", submitted_at=submitted_at, claimed_at=submitted_at)


async def publish(database: Database, assessment: Assessment, result: Result) -> Publication:
    async with database.transaction() as uow:
        _, now = await uow.assessments.lock(assessment.id)
        publication = await uow.results.publish(assessment, now, result)
        await uow.commit()
    return publication


async def result_of(session: AsyncSession, database: Database, assessment: Assessment, **essay: Any) -> Result:
    async with database.transaction() as uow:
        items = await uow.assessments.items(assessment.id)
    return a_result(items, await some_credentials(session), **essay)


async def an_endpoint(session: AsyncSession, organization_id: UUID, **columns: Any) -> UUID:
    endpoint_id = uuid4()
    values = {
        "organization_id": organization_id,
        "url": "https://partner.example.org/hook",
        "event_types": ["assessment.completed", "assessment.failed"],
        "secret": b"ciphertext",
    }
    await session.execute(insert(WebhookEndpointRow).values(id=endpoint_id, **(values | columns)))
    return endpoint_id


async def count(session: AsyncSession, table: type, *conditions: Any) -> int:
    return int(await session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0)


async def test_a_result_is_published_whole(session: AsyncSession, database: Database, assessment: Assessment) -> None:
    result = await result_of(session, database, assessment)

    publication = await publish(database, assessment, result)

    of_assessment = {
        row: row.assessment_id == assessment.id for row in (RuleScoreRow, EssayScoreRow, ResultRevisionRow)
    }
    of_recommendation = {
        row: row.recommendation_id == publication.recommendation_id for row in (RecommendationItemRow, RagTraceRow)
    }
    counted = {
        row.__tablename__: await count(session, row, which)
        for row, which in (of_assessment | of_recommendation).items()
    }
    assert counted == {
        "rule_scores": 4,
        "essay_scores": 2,
        "result_revisions": 1,
        "recommendation_items": 3,
        "rag_traces": 3,
    }
    async with database.transaction() as uow:
        after = await uow.assessments.get(assessment.id)
    assert (after.status, after.revision, after.healing) == (AssessmentStatus.COMPLETED, 1, Healing.NONE)
    assert after.completed_at is not None


async def test_items_refer_to_the_traces_that_support_them(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    publication = await publish(database, assessment, await result_of(session, database, assessment))

    pairs = await session.execute(
        select(RecommendationItemRow.credential_id, RagTraceRow.credential_id)
        .join(RagTraceRow, RagTraceRow.id == func.any(RecommendationItemRow.source_trace_ids))
        .where(RecommendationItemRow.recommendation_id == publication.recommendation_id)
    )
    found = [tuple(pair) for pair in pairs]
    assert len(found) == 3
    assert all(item == trace for item, trace in found)


async def test_the_revision_is_what_the_api_serves(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    result = await result_of(session, database, assessment)
    publication = await publish(database, assessment, result)

    document = await session.scalar(
        select(ResultRevisionRow.document).where(ResultRevisionRow.assessment_id == assessment.id)
    )
    async with database.transaction() as uow:
        items = await uow.assessments.items(assessment.id)
    assert [score["question_id"] for score in document["scores"]] == [str(item.question.id) for item in items]
    assert document["recommendation_id"] == str(publication.recommendation_id)
    assert document["skills"] == [{"skill": "SQL querying", "score": 0.5, "target": 0.8, "gap": 0.3, "evidence": 3.0}]
    assert document["confidence_basis"] == "uncalibrated"
    assert document["metrics"]["total_latency_ms"] >= 2000
    assert len(document["recommendation_items"]) == len(document["traces"]) == 3


async def test_costs_are_summed_and_an_unknown_one_is_reported_as_missing(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    result = await result_of(session, database, assessment, model="gpt-test", cost_cents=Decimal("0.000125"))
    await publish(database, assessment, result)

    rows = await session.execute(
        select(MetricSnapshotRow.metric_type, func.sum(MetricSnapshotRow.value))
        .where(MetricSnapshotRow.assessment_id == assessment.id)
        .group_by(MetricSnapshotRow.metric_type)
    )
    metrics = dict(rows.all())
    assert metrics["token_cost_cents"] == metrics["essay_cost_cents"] == Decimal("0.00025")
    assert metrics["gpt_latency_ms"] == metrics["essay_latency_ms"] == 80
    assert metrics["rag_latency_ms"] == 12


async def test_publishing_again_is_refused_and_changes_nothing(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    result = await result_of(session, database, assessment)
    first = await publish(database, assessment, result)

    with pytest.raises(Conflict):
        await publish(database, assessment, result)

    async with database.transaction() as uow:
        _, now = await uow.assessments.lock(assessment.id)
        with pytest.raises(Conflict):
            await uow.results.publish(assessment, now, result)
        assert (await uow.assessments.get(assessment.id)).revision == first.revision
    assert await count(session, ResultRevisionRow, ResultRevisionRow.assessment_id == assessment.id) == 1
    assert await count(session, WebhookEventRow, WebhookEventRow.assessment_id == assessment.id) == 1


async def test_nothing_is_published_before_the_first_result(database: Database, assessment: Assessment) -> None:
    async with database.transaction() as uow:
        with pytest.raises(NotFound):
            await uow.results.published(assessment.id)


async def test_the_steps_payloads_are_replaced_by_the_publication(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    result = await result_of(session, database, assessment)
    keys = [
        JobKey(assessment_id=assessment.id, run=1, revision=1, step=step)
        for step in (Step.SCORE_RULES, Step.PUBLISH_RESULT)
    ]
    async with database.transaction() as uow:
        for key in keys:
            await uow.jobs.begin(key, Result)
        await uow.jobs.succeed(keys[0], result)
        locked, now = await uow.assessments.lock(assessment.id)
        publication = await uow.results.publish(locked, now, result)
        await uow.commit()

    left = await session.scalars(
        select(AsyncJobRow.job_type).where(AsyncJobRow.assessment_id == assessment.id, AsyncJobRow.payload.is_not(None))
    )
    assert left.all() == ["publish_result"]
    async with database.transaction() as uow:
        assert (await uow.jobs.begin(keys[1], Publication)).output == publication


@pytest.mark.parametrize(
    ("reason", "healing"),
    [
        (DegradedReason.ESSAY_GRADER_NOT_CONFIGURED, Healing.NONE),
        (DegradedReason.ESSAY_GRADER_LOCAL, Healing.DUE),
    ],
)
async def test_only_temporary_reasons_are_due_for_healing(
    session: AsyncSession,
    database: Database,
    assessment: Assessment,
    reason: DegradedReason,
    healing: Healing,
) -> None:
    result = await result_of(session, database, assessment, degraded_reason=reason, needs_review=True)

    publication = await publish(database, assessment, result)

    row = (await session.execute(select(AssessmentRow).where(AssessmentRow.id == assessment.id))).scalar_one()
    recommendation = (
        await session.execute(select(RecommendationRow).where(RecommendationRow.assessment_id == assessment.id))
    ).scalar_one()
    assert (row.degraded, row.healing, row.needs_review) == (True, healing, True)
    assert recommendation.degraded_reasons == [reason]
    assert publication.degraded_reasons == (reason,)


async def test_an_event_is_delivered_to_the_subscribed_endpoints(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    wanted = await an_endpoint(session, assessment.organization_id)
    await an_endpoint(session, assessment.organization_id, enabled=False)
    await an_endpoint(session, assessment.organization_id, event_types=["assessment.failed"])
    other = await an_assessment(session)
    await an_endpoint(session, other.organization_id)

    publication = await publish(database, assessment, await result_of(session, database, assessment))

    deliveries = (await session.execute(select(WebhookDeliveryRow))).scalars().all()
    assert [(row.endpoint_id, row.event_id, row.n, row.status) for row in deliveries] == [
        (wanted, deliveries[0].event_id, 1, "pending")
    ]
    assert [(each.id, each.event_id, each.endpoint_id) for each in publication.deliveries] == [
        (row.id, row.event_id, row.endpoint_id) for row in deliveries
    ]


async def test_an_events_bytes_are_its_payload_and_hold_no_result(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await publish(database, assessment, await result_of(session, database, assessment))

    event = (await session.execute(select(WebhookEventRow))).scalar_one()
    assert json.loads(event.body) == event.payload
    assert event.status == "unsubscribed"
    assert event.payload["version"] == 1
    assert event.payload["data"].keys() == {
        "assessment_id",
        "user_id",
        "role_id",
        "status",
        "revision",
        "degraded",
        "needs_review",
        "links",
    }


async def test_a_failure_is_one_transition_with_audit_row_and_event(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    endpoint_id = await an_endpoint(session, assessment.organization_id)

    async with database.transaction() as uow:
        await uow.results.fail(assessment, assessment.fail("bad_data"))
        await uow.commit()

    event = (await session.execute(select(WebhookEventRow))).scalar_one()
    delivery = (await session.execute(select(WebhookDeliveryRow))).scalar_one()
    actions = await session.scalars(select(AuditLogRow.action).where(AuditLogRow.resource_id == assessment.id))
    assert (event.event_type, event.payload["data"]["reason"]) == ("assessment.failed", "bad_data")
    assert (delivery.endpoint_id, delivery.event_id) == (endpoint_id, event.id)
    assert actions.all() == ["assessment.failed"]


async def test_a_failure_leaves_no_job_open(session: AsyncSession, database: Database, assessment: Assessment) -> None:
    key = JobKey(assessment_id=assessment.id, run=1, revision=1, step=Step.PUBLISH_RESULT)
    async with database.transaction() as uow:
        await uow.jobs.enqueue([key])
        await uow.results.fail(assessment, assessment.fail("bad_data"))
        await uow.commit()

    status = await session.scalar(select(AsyncJobRow.status).where(AsyncJobRow.id == key.id))
    assert status == "stale"


async def test_a_second_failure_is_a_new_event(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    failed = assessment.fail("bad_data")
    again = failed.rerun()
    async with database.transaction() as uow:
        await uow.results.fail(assessment, failed)
        await uow.assessments.save(failed, again)
        await uow.results.fail(again, again.fail("bad_data"))
        await uow.commit()

    assert await count(session, WebhookEventRow, WebhookEventRow.assessment_id == assessment.id) == 2


async def test_a_later_revision_replaces_the_evidence_and_keeps_the_history(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    result = await result_of(session, database, assessment)
    first = await publish(database, assessment, result)
    async with database.transaction() as uow:
        again = await uow.assessments.get(assessment.id)

    second = await publish(database, again, result)

    assert (second.revision, second.recommendation_id) == (2, first.recommendation_id)
    assert await count(session, RecommendationRow, RecommendationRow.id == first.recommendation_id) == 1
    assert await count(session, RagTraceRow, RagTraceRow.recommendation_id == first.recommendation_id) == 3
    assert await count(session, RuleScoreRow, RuleScoreRow.assessment_id == assessment.id) == 4
    revisions = await session.scalars(
        select(ResultRevisionRow.revision).where(ResultRevisionRow.assessment_id == assessment.id)
    )
    assert sorted(revisions) == [1, 2]


async def test_scores_of_other_items_are_not_published(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    result = await result_of(session, database, await an_assessment(session))

    with pytest.raises(CorruptData):
        await publish(database, assessment, result)
