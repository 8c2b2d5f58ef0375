"""Reconciliation of assessments: the rows found in Postgres, and the calls to the workflow engine."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.reconcile import STALE_AFTER_S, Reconcile
from domain.assessments.ports import JobKey
from domain.assessments.steps import Step
from domain.database import Database
from domain.sweeps import Concern
from persistence.tables import AsyncJobRow, ReviewItemRow, UserRow
from tests.activities.builders import MINUTE_AGO, job_row
from tests.activities.reconciling.sweeps import CLAIMED, DUE, UNCLAIMED, PagedRuns, sweep, sweep_all
from tests.support.builders import a_result, an_assessment
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
)


async def test_reconciliation_without_a_difference_starts_nothing(reconcile: Reconcile) -> None:
    assert await sweep_all(reconcile) == {}


async def test_only_an_unclaimed_submission_without_a_live_run_is_submitted_again(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    alive, dead = [await an_assessment(session, **UNCLAIMED) for _ in range(2)]
    runs.alive.add(alive.id)

    swept = await sweep(reconcile, Concern.UNCLAIMED)

    assert (swept.rows, swept.started) == (2, 1)
    assert (runs.submitted, runs.signalled) == ([dead.id], [alive.id])


async def test_a_recent_submission_is_left_to_its_caller(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    await an_assessment(session, status="awaiting_async", submitted_at=datetime.now(UTC))

    assert await sweep_all(reconcile) == {}

    assert runs.submitted == []


async def test_a_claimed_assessment_without_a_live_run_is_submitted_again(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessment = await an_assessment(session, **CLAIMED)

    assert (await sweep(reconcile, Concern.CLAIMED)).started == 1

    assert runs.submitted == [assessment.id]


async def test_an_assessment_in_progress_is_left_to_its_submission_or_its_deadline(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    await an_assessment(session)

    rows = [(await sweep(reconcile, concern)).rows for concern in Concern if concern is not Concern.AUDIT]

    assert set(rows) == {0}
    assert runs.asked == []


async def test_a_claim_of_a_moment_ago_is_left_to_its_run(session: AsyncSession, reconcile: Reconcile) -> None:
    await an_assessment(session, **UNCLAIMED, claimed_at=datetime.now(UTC))

    assert (await sweep(reconcile, Concern.CLAIMED)).rows == 0


async def test_a_live_run_is_left_alone(session: AsyncSession, reconcile: Reconcile, runs: PagedRuns) -> None:
    assessment = await an_assessment(session, **CLAIMED)
    runs.alive.add(assessment.id)

    assert await sweep_all(reconcile) == {}

    assert (runs.submitted, runs.signalled) == ([], [])


async def test_a_run_that_the_index_lists_by_mistake_is_found_within_the_hour(
    session: AsyncSession, database: Database, reconcile: Reconcile, catalog_runs: RecordingCatalogRuns
) -> None:
    del reconcile
    assessment = await an_assessment(session, **CLAIMED)

    class Behind(PagedRuns):
        """The index lists every run, but none is live."""

        async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
            return frozenset(assessment_ids)

    runs, minute = Behind(), 0
    sweeper = Reconcile(
        database,
        runs,
        RecordingDeliveries(),
        RecordingErasures(),
        catalog_runs,
        RecordingAppeals(),
        RecordingRescores(),
        RecordingLinkMails(),
        minute=lambda: minute,
    )
    for minute in range(60):  # noqa: B007  # read by the sweeper
        await sweep(sweeper, Concern.CLAIMED)

    assert runs.submitted == [assessment.id]


async def test_a_doubtful_result_without_a_place_in_the_review_queue_gets_one(
    session: AsyncSession, reconcile: Reconcile, database: Database
) -> None:
    assessment = await an_assessment(session, **CLAIMED)
    async with database.transaction() as uow:
        locked, now = await uow.assessments.lock(assessment.id)
        items = await uow.assessments.items(assessment.id)
        await uow.results.publish(locked, now, a_result(items, (), needs_review=True))
        await uow.commit()
    await session.execute(delete(ReviewItemRow))

    assert (await sweep(reconcile, Concern.REVIEW_QUEUE)).started == 1
    assert (await sweep(reconcile, Concern.REVIEW_QUEUE)).started == 0

    assert await session.scalar(select(func.count()).select_from(ReviewItemRow)) == 2


async def test_a_due_assessment_is_submitted_so_that_its_run_expires_it(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessment = await an_assessment(session, expires_at=MINUTE_AGO)

    assert (await sweep(reconcile, Concern.EXPIRY)).started == 1

    assert runs.submitted == [assessment.id]


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "completed", "revision": 1, "completed_at": MINUTE_AGO},
        {"status": "failed", "failure_reason": "CorruptData"},
    ],
)
async def test_a_finished_assessment_starts_nothing(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns, columns: dict[str, Any]
) -> None:
    await an_assessment(session, **columns)

    assert await sweep_all(reconcile) == {}

    assert runs.submitted == []


@pytest.mark.parametrize("columns", [UNCLAIMED, CLAIMED, DUE, {}])
async def test_nothing_is_started_about_a_person_who_is_being_erased(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns, columns: dict[str, Any]
) -> None:
    assessment = await an_assessment(session, **columns)
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    assert await sweep_all(reconcile) == {Concern.ERASURES: 1}

    assert runs.submitted == []


async def test_jobs_that_run_for_longer_than_any_policy_allows_are_closed(
    session: AsyncSession, database: Database, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessment = await an_assessment(session, **CLAIMED)
    runs.alive.add(assessment.id)
    old, new = (JobKey(assessment_id=assessment.id, run=1, revision=1, step=step) for step in (Step.SCORE_RULES, "x"))
    async with database.transaction() as uow:
        for key in (old, new):
            await uow.jobs.begin(key, object)
        await uow.commit()
    long_ago = datetime.now(UTC) - timedelta(seconds=STALE_AFTER_S + 60)
    await session.execute(update(AsyncJobRow).where(AsyncJobRow.id == old.id).values(started_at=long_ago))

    assert (await sweep(reconcile, Concern.JOBS)).started == 1

    assert [(await job_row(session, key)).status for key in (old, new)] == ["stale", "running"]
