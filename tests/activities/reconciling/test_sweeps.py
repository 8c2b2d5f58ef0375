"""Sweeps with failures, with more rows than a page, and without enough time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.reconcile import Reconcile
from activities.sweeping import AT_ONCE, PAGE
from domain.errors import ExternalServiceError, InvalidInput
from domain.sweeps import Concern
from persistence.tables import AssessmentRow, SweepRow, UserRow
from tests.activities.builders import MINUTE_AGO
from tests.activities.reconciling.sweeps import CLAIMED, DUE, UNCLAIMED, PagedRuns, sweep, sweep_all
from tests.support.builders import ROLE_ID, an_assessment, an_organization


async def many(session: AsyncSession, number: int, **columns: Any) -> set[UUID]:
    """Assessments without questions, each of another learner."""
    organization_id = await an_organization(session)
    learners = [{"id": uuid4(), "organization_id": organization_id, "role": "student"} for _ in range(number)]
    await session.execute(insert(UserRow), [{**each, "email": f"{each['id']}@example.org"} for each in learners])
    values = {
        "organization_id": organization_id,
        "role_id": ROLE_ID,
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
    }
    rows = [{"id": uuid4(), "user_id": learner["id"], **values, **columns} for learner in learners]
    await session.execute(insert(AssessmentRow), rows)
    return {row["id"] for row in rows}


async def test_a_sweep_reaches_beyond_the_first_page(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    expected = await many(session, PAGE + 5, **CLAIMED)

    assert (await sweep(reconcile, Concern.CLAIMED)).started == PAGE + 5

    assert set(runs.submitted) == expected
    assert len(runs.submitted) == PAGE + 5
    assert runs.asked == [PAGE, 5]


async def test_without_the_engine_sweeps_report_failures_and_the_next_ones_repair_everything(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessments = [await an_assessment(session, **columns) for columns in (UNCLAIMED, CLAIMED, DUE)]
    runs.down = True
    swept = await sweep(reconcile, Concern.EXPIRY)
    assert (swept.started, dict(swept.errors)) == (0, {ExternalServiceError.code: 1})

    runs.down = False

    assert await sweep_all(reconcile) == {Concern.UNCLAIMED: 1, Concern.CLAIMED: 1, Concern.EXPIRY: 1}
    assert sorted(runs.submitted) == sorted(assessment.id for assessment in assessments)


@pytest.mark.parametrize(
    ("concern", "columns"), [(Concern.UNCLAIMED, UNCLAIMED), (Concern.CLAIMED, CLAIMED), (Concern.EXPIRY, DUE)]
)
async def test_a_row_whose_call_fails_does_not_stop_the_rows_and_pages_after_it(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns, concern: Concern, columns: dict[str, Any]
) -> None:
    rows = await many(session, PAGE + 5, **columns)
    runs.broken = set(sorted(rows)[:3])

    swept = await sweep(reconcile, concern)

    assert set(runs.submitted) == rows - runs.broken
    assert (swept.started, dict(swept.errors)) == (PAGE + 2, {ExternalServiceError.code: 3})
    assert swept.complete


async def test_an_index_that_does_not_answer_is_counted_once_a_page(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    await many(session, PAGE + 5, **CLAIMED)
    runs.index_down = True

    swept = await sweep(reconcile, Concern.CLAIMED)

    assert (swept.rows, swept.started, dict(swept.errors)) == (PAGE + 5, 0, {ExternalServiceError.code: 2})


@pytest.mark.parametrize(
    ("concern", "columns"), [(Concern.UNCLAIMED, UNCLAIMED), (Concern.CLAIMED, CLAIMED), (Concern.EXPIRY, DUE)]
)
async def test_a_sweep_whose_time_is_over_continues_where_it_stopped(
    session: AsyncSession, hurried: Reconcile, runs: PagedRuns, concern: Concern, columns: dict[str, Any]
) -> None:
    rows = await many(session, 2 * AT_ONCE + 3, **columns)

    swept = [await sweep(hurried, concern) for _ in range(4)]

    assert [(each.started, each.complete) for each in swept[:2]] == [(AT_ONCE, False)] * 2
    assert set(runs.submitted) == rows
    assert len(runs.submitted) == len(rows)


async def test_a_sweep_of_the_review_queue_continues_where_it_stopped(
    session: AsyncSession, hurried: Reconcile
) -> None:
    await many(session, PAGE + 5, status="completed", revision=1, needs_review=True)

    swept = [await sweep(hurried, Concern.REVIEW_QUEUE) for _ in range(4)]

    # The first sweep looks for results with rows in the queue, and this queue is empty.
    assert [(each.started, each.complete) for each in swept] == [(0, False), (PAGE, False), (5, True), (0, False)]


async def test_the_end_of_a_sweep_is_recorded(session: AsyncSession, reconcile: Reconcile, runs: PagedRuns) -> None:
    await session.execute(update(SweepRow).values(swept_at=MINUTE_AGO))
    runs.down = True

    await sweep(reconcile, Concern.EXPIRY)

    recent = select(SweepRow.concern).where(SweepRow.swept_at > MINUTE_AGO)
    assert (await session.scalars(recent)).all() == [Concern.EXPIRY]


async def test_the_migration_knows_every_concern(session: AsyncSession) -> None:
    assert set(await session.scalars(select(SweepRow.concern))) == set(Concern)


async def test_a_concern_of_a_later_build_is_refused_at_once(reconcile: Reconcile) -> None:
    with pytest.raises(InvalidInput):
        await sweep(reconcile, "of-a-later-build")
