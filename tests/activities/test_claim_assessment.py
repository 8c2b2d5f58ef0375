"""`score_rules` claims a run as `claim_assessment` does, which runs of earlier builds still use."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.claim_assessment import Claim, ClaimAssessment, ClaimInput, ClaimOutcome
from activities.score_rules import ScoreRules
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.database import Database
from domain.errors import Erased, NotFound
from domain.ids import derived_id
from persistence.tables import AssessmentRow, AsyncJobRow, AuditLogRow, UserRow, WebhookEventRow
from tests.activities.builders import MINUTE_AGO, essays_of
from tests.support.builders import an_assessment

ClaimById: TypeAlias = Callable[[UUID], Awaitable[Claim]]


@pytest.fixture(params=["claim_assessment", "score_rules"])
def claim(request: pytest.FixtureRequest, database: Database) -> ClaimById:
    """The activity that claims."""

    async def run(assessment_id: UUID) -> Claim:
        wanted = ClaimInput(assessment_id=assessment_id)
        if request.param == "claim_assessment":
            return await ClaimAssessment(database).claim_assessment(wanted)
        claimed = await ScoreRules(database).score_rules(wanted)
        assert isinstance(claimed, Claim)
        return claimed

    return run


async def row_of(session: AsyncSession, assessment: Assessment) -> AssessmentRow:
    statement = select(AssessmentRow).where(AssessmentRow.id == assessment.id)
    return (await session.execute(statement, execution_options={"populate_existing": True})).scalar_one()


async def audited(session: AsyncSession, assessment: Assessment) -> list[str]:
    found = await session.scalars(select(AuditLogRow.action).where(AuditLogRow.resource_id == str(assessment.id)))
    return sorted(found)


async def test_a_submitted_assessment_is_claimed_with_its_answered_essays(
    session: AsyncSession, database: Database, claim: ClaimById
) -> None:
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=MINUTE_AGO)

    claimed = await claim(assessment.id)

    assert claimed == Claim(
        outcome=ClaimOutcome.GO_ON,
        status=AssessmentStatus.AWAITING_ASYNC,
        run=1,
        revision=1,
        essays=await essays_of(database, assessment),
    )
    assert (await row_of(session, assessment)).claimed_at is not None


async def test_claiming_again_says_the_same_and_keeps_the_first_time(session: AsyncSession, claim: ClaimById) -> None:
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=MINUTE_AGO)
    first = await claim(assessment.id)
    at = (await row_of(session, assessment)).claimed_at

    assert await claim(assessment.id) == first

    assert (await row_of(session, assessment)).claimed_at == at
    assert await audited(session, assessment) == ["assessment.claimed"]


async def test_before_the_expiry_there_are_seconds_left_and_nothing_changes(
    session: AsyncSession, claim: ClaimById
) -> None:
    assessment = await an_assessment(session, expires_at=datetime.now(UTC) + timedelta(hours=1))

    waiting = await claim(assessment.id)

    assert waiting.outcome is ClaimOutcome.NOT_DUE
    assert 3000 < waiting.wait_s <= 3600
    assert (await row_of(session, assessment)).status == "in_progress"


async def test_expiry_submits_what_was_answered_and_queues_its_steps(session: AsyncSession, claim: ClaimById) -> None:
    assessment = await an_assessment(session, expires_at=MINUTE_AGO)

    claimed = await claim(assessment.id)

    row = await row_of(session, assessment)
    jobs = await session.execute(
        select(AsyncJobRow.job_type, func.count())
        .where(AsyncJobRow.assessment_id == assessment.id)
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
    session: AsyncSession, claim: ClaimById
) -> None:
    assessment = await an_assessment(session, answered=False, expires_at=MINUTE_AGO)

    claimed = await claim(assessment.id)

    row = await row_of(session, assessment)
    events = await session.scalars(
        select(WebhookEventRow.event_type).where(WebhookEventRow.assessment_id == assessment.id)
    )
    assert claimed == Claim(outcome=ClaimOutcome.FINISHED, status=AssessmentStatus.FAILED)
    assert (row.status, row.failure_reason) == ("failed", "expired")
    assert events.all() == ["assessment.failed"]


@pytest.mark.parametrize("answered", [True, False])
async def test_an_expiry_happens_once(session: AsyncSession, claim: ClaimById, *, answered: bool) -> None:
    assessment = await an_assessment(session, answered=answered, expires_at=MINUTE_AGO)
    first = await claim(assessment.id)
    after = await audited(session, assessment)

    assert await claim(assessment.id) == first

    assert await audited(session, assessment) == after


async def test_a_finished_assessment_is_left_alone(session: AsyncSession, claim: ClaimById) -> None:
    assessment = await an_assessment(session, status="failed", failure_reason="CorruptData")

    assert await claim(assessment.id) == Claim(outcome=ClaimOutcome.FINISHED, status=AssessmentStatus.FAILED)
    assert await audited(session, assessment) == []


async def test_an_assessment_of_an_erased_user_is_not_claimed(session: AsyncSession, claim: ClaimById) -> None:
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=MINUTE_AGO)
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    with pytest.raises(Erased):
        await claim(assessment.id)

    assert (await row_of(session, assessment)).claimed_at is None


async def test_an_assessment_that_does_not_exist_is_not_found(claim: ClaimById) -> None:
    with pytest.raises(NotFound):
        await claim(derived_id("nothing"))
