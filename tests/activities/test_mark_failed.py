from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.mark_failed import NO_RUN, FailureInput, MarkFailed
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.database import Database
from domain.errors import Erased
from persistence.tables import AssessmentRow, AuditLogRow, UserRow, WebhookEventRow
from tests.activities.builders import MINUTE_AGO
from tests.support.builders import an_assessment


async def mark(database: Database, assessment: Assessment, run: int = 1) -> AssessmentStatus:
    failure = FailureInput(assessment_id=assessment.id, run=run, reason="CorruptData")
    return (await MarkFailed(database).mark_failed(failure)).status


async def state(session: AsyncSession, assessment: Assessment) -> tuple[str, str | None]:
    columns = select(AssessmentRow.status, AssessmentRow.failure_reason)
    row = (await session.execute(columns.where(AssessmentRow.id == assessment.id))).one()
    return row.status, row.failure_reason


async def noted(session: AsyncSession, assessment: Assessment) -> tuple[list[str], list[str]]:
    """Events and audited actions."""
    events = select(WebhookEventRow.event_type).where(WebhookEventRow.assessment_id == assessment.id)
    actions = select(AuditLogRow.action).where(AuditLogRow.resource_id == str(assessment.id))
    return list(await session.scalars(events)), list(await session.scalars(actions))


@pytest.mark.parametrize("run", [1, 0])
async def test_the_current_run_fails_with_its_reason(
    session: AsyncSession, database: Database, assessment: Assessment, run: int
) -> None:
    assert await mark(database, assessment, run) is AssessmentStatus.FAILED

    assert await state(session, assessment) == ("failed", "CorruptData")
    assert await noted(session, assessment) == (["assessment.failed"], ["assessment.failed"])


async def test_no_run_reads_the_status_and_marks_nothing(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    assert await mark(database, assessment, NO_RUN) is AssessmentStatus.AWAITING_ASYNC

    assert await noted(session, assessment) == ([], [])


async def test_partners_are_notified_of_a_failure_once(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await mark(database, assessment)

    assert await mark(database, assessment) is AssessmentStatus.FAILED

    assert await noted(session, assessment) == (["assessment.failed"], ["assessment.failed"])


async def test_a_newer_run_is_not_failed_by_an_older_one(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == assessment.id).values(run=2))

    assert await mark(database, assessment, run=1) is AssessmentStatus.AWAITING_ASYNC

    assert await state(session, assessment) == ("awaiting_async", None)


@pytest.mark.parametrize(
    "finished",
    [
        {"status": "completed", "revision": 1, "completed_at": MINUTE_AGO},
        {"status": "failed", "failure_reason": "expired"},
    ],
)
async def test_a_finished_assessment_stays_as_it_is(
    session: AsyncSession, database: Database, assessment: Assessment, finished: dict[str, Any]
) -> None:
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == assessment.id).values(**finished))

    assert await mark(database, assessment) == finished["status"]

    assert await state(session, assessment) == (finished["status"], finished.get("failure_reason"))
    assert await noted(session, assessment) == ([], [])


async def test_an_assessment_that_is_still_answered_is_not_failed(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, expires_at=datetime.now(UTC) + timedelta(hours=1))

    assert await mark(database, assessment, run=0) is AssessmentStatus.IN_PROGRESS

    assert await state(session, assessment) == ("in_progress", None)


async def test_an_assessment_that_cannot_even_expire_fails(session: AsyncSession, database: Database) -> None:
    assessment = await an_assessment(session, expires_at=MINUTE_AGO)

    assert await mark(database, assessment, run=0) is AssessmentStatus.FAILED

    assert await state(session, assessment) == ("failed", "CorruptData")


async def test_a_run_that_takes_an_open_assessment_for_claimed_does_not_fail_it(
    session: AsyncSession, database: Database
) -> None:
    assessment = await an_assessment(session, expires_at=MINUTE_AGO)

    assert await mark(database, assessment, run=1) is AssessmentStatus.IN_PROGRESS

    assert await state(session, assessment) == ("in_progress", None)


async def test_nothing_is_written_about_an_erased_person(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erased"))

    with pytest.raises(Erased):
        await mark(database, assessment)

    assert await noted(session, assessment) == ([], [])
