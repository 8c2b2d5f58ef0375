from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.claim_assessment import Claim, ClaimAssessment, ClaimInput, ClaimOutcome
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.database import Database
from domain.errors import Erased, NotFound
from domain.ids import derived_id
from persistence.tables import AssessmentRow, AsyncJobRow, AuditLogRow, UserRow, WebhookEventRow
from tests.activities.builders import MINUTE_AGO, essays_of
from tests.support.builders import an_assessment


async def claim(database: Database, assessment: Assessment) -> Claim:
    return await ClaimAssessment(database).claim_assessment(ClaimInput(assessment_id=assessment.id))


async def row_of(session: AsyncSession, assessment: Assessment) -> AssessmentRow:
    statement = select(AssessmentRow).where(AssessmentRow.id == assessment.id)
    return (await session.execute(statement, execution_options={"populate_existing": True})).scalar_one()


async def audited(session: AsyncSession, assessment: Assessment) -> list[str]:
    found = await session.scalars(select(AuditLogRow.action).where(AuditLogRow.resource_id == str(assessment.id)))
    return sorted(found)


async def test_a_submitted_assessment_is_claimed_with_its_answered_essays(
    session: AsyncSession, database: Database
) -> None:
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=MINUTE_AGO)

    claimed = await claim(database, assessment)

    assert claimed == Claim(
        outcome=ClaimOutcome.GO_ON,
        status=AssessmentStatus.AWAITING_ASYNC,
        run=1,
        revision=1,
        essays=await essays_of(database, assessment),
    )
    assert (await row_of(session, assessment)).claimed_at is not None


async def test_claiming_again_says_the_same_and_keeps_the_first_time(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=MINUTE_AGO)
    first = await claim(database, assessment)
    at = (await row_of(session, assessment)).claimed_at

    assert await claim(database, assessment) == first

    assert (await row_of(session, assessment)).claimed_at == at
    assert await audited(session, assessment) == ["assessment.claimed"]


async def test_before_the_expiry_there_are_seconds_left_and_nothing_changes(
    session: AsyncSession, database: Database
) -> None:
    assessment = await an_assessment(session, expires_at=datetime.now(UTC) + timedelta(hours=1))

    waiting = await claim(database, assessment)

    assert waiting.outcome is ClaimOutcome.NOT_DUE
    assert 3000 < waiting.wait_s <= 3600
    assert (await row_of(session, assessment)).status == "in_progress"


async def test_expiry_submits_what_was_answered_and_queues_its_steps(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, expires_at=MINUTE_AGO)

    claimed = await claim(database, assessment)

    row = await row_of(session, assessment)
    jobs = await session.execute(
        select(AsyncJobRow.job_type, func.count())
        .where(AsyncJobRow.assessment_id == assessment.id, AsyncJobRow.status == "queued")
        .group_by(AsyncJobRow.job_type)
    )
    assert claimed.outcome is ClaimOutcome.GO_ON
    assert (row.status, row.submitted_at is None, row.claimed_at is None) == ("awaiting_async", False, False)
    assert dict(jobs.all()) == {
        "score_rules": 1,
        "score_essay": 2,
        "retrieve_evidence": 1,
        "blend_recommendations": 1,
        "publish_result": 1,
    }
    assert await audited(session, assessment) == ["assessment.claimed", "assessment.submitted"]


async def test_expiry_without_an_answer_fails_the_assessment_and_tells_partners(
    session: AsyncSession, database: Database
) -> None:
    assessment = await an_assessment(session, answered=False, expires_at=MINUTE_AGO)

    claimed = await claim(database, assessment)

    row = await row_of(session, assessment)
    events = await session.scalars(
        select(WebhookEventRow.event_type).where(WebhookEventRow.assessment_id == assessment.id)
    )
    assert claimed == Claim(outcome=ClaimOutcome.FINISHED, status=AssessmentStatus.FAILED)
    assert (row.status, row.failure_reason) == ("failed", "expired")
    assert events.all() == ["assessment.failed"]


@pytest.mark.parametrize("answered", [True, False])
async def test_an_expiry_happens_once(session: AsyncSession, database: Database, *, answered: bool) -> None:
    assessment = await an_assessment(session, answered=answered, expires_at=MINUTE_AGO)
    first = await claim(database, assessment)
    after = await audited(session, assessment)

    assert await claim(database, assessment) == first

    assert await audited(session, assessment) == after


async def test_a_finished_assessment_is_left_alone(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, status="failed", failure_reason="CorruptData")

    assert await claim(database, assessment) == Claim(outcome=ClaimOutcome.FINISHED, status=AssessmentStatus.FAILED)
    assert await audited(session, assessment) == []


async def test_an_assessment_of_an_erased_user_is_not_claimed(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=MINUTE_AGO)
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    with pytest.raises(Erased):
        await claim(database, assessment)

    assert (await row_of(session, assessment)).claimed_at is None


async def test_an_assessment_that_does_not_exist_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await ClaimAssessment(database).claim_assessment(ClaimInput(assessment_id=derived_id("nothing")))
