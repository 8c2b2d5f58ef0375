"""Reconciliation of appeals."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.reconcile import Reconcile, SweepInput, Swept
from domain.database import Database
from domain.sweeps import Concern
from persistence.tables import UserRow
from tests.activities.builders import MINUTE_AGO
from tests.support.appeals import an_appeal
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
    RecordingRuns,
)


@pytest.fixture
def appeal_runs() -> RecordingAppeals:
    return RecordingAppeals()


@pytest.fixture
def reconcile(database: Database, appeal_runs: RecordingAppeals) -> Reconcile:
    """A reconciliation that trusts the engine's index."""
    others = RecordingRuns(), RecordingDeliveries(), RecordingErasures(), RecordingCatalogRuns()
    return Reconcile(database, *others, appeal_runs, RecordingRescores(), RecordingLinkMails(), minute=lambda: -1)


async def sweep(reconcile: Reconcile) -> int:
    """Sweep appeals; return the number of started runs."""
    swept: Swept = await ActivityEnvironment().run(reconcile.reconcile, SweepInput(concern=Concern.APPEALS))
    return swept.started


async def test_an_open_appeal_without_a_live_run_is_started(
    session: AsyncSession, reconcile: Reconcile, appeal_runs: RecordingAppeals
) -> None:
    alive, dead = [await an_appeal(session) for _ in range(2)]
    await an_appeal(session, created_at=datetime.now(UTC))  # left to its request
    await appeal_runs.start(alive)

    assert await sweep(reconcile) == 1

    assert appeal_runs.started == [alive.id, dead.id]


async def test_a_closed_appeal_is_signalled_until_its_run_has_ended(
    session: AsyncSession, reconcile: Reconcile, appeal_runs: RecordingAppeals
) -> None:
    closed: dict[str, Any] = {"state": "withdrawn", "closed_at": MINUTE_AGO}
    unended = await an_appeal(session, **closed)
    await an_appeal(session, **closed, run_ended_at=MINUTE_AGO)
    await appeal_runs.start(unended)

    assert await sweep(reconcile) == 1

    assert appeal_runs.ended == [unended.id]


WEEK_OLD: dict[str, Any] = {"created_at": datetime.now(UTC) - timedelta(days=6)}


@pytest.mark.parametrize(
    ("columns", "started"),
    [
        ({"reminded_at": MINUTE_AGO}, 0),
        ({}, 1),
        ({"reminded_at": MINUTE_AGO, "answer_due_at": MINUTE_AGO - timedelta(minutes=1)}, 1),
        ({"reminded_at": MINUTE_AGO, "overdue_at": MINUTE_AGO, "answer_due_at": MINUTE_AGO - timedelta(minutes=1)}, 0),
    ],
    ids=["waits", "late reminder", "late overdue mark", "overdue"],
)
async def test_an_older_appeal_is_only_looked_at_when_a_mark_is_late(
    session: AsyncSession,
    reconcile: Reconcile,
    appeal_runs: RecordingAppeals,
    columns: dict[str, Any],
    started: int,
) -> None:
    await an_appeal(session, **WEEK_OLD, **columns)

    assert await sweep(reconcile) == started

    assert len(appeal_runs.started) == started


async def test_an_appeal_of_a_person_who_is_being_erased_is_left_alone(
    session: AsyncSession, reconcile: Reconcile, appeal_runs: RecordingAppeals
) -> None:
    appeal = await an_appeal(session)
    await session.execute(update(UserRow).where(UserRow.id == appeal.user_id).values(status="erasing"))

    assert await sweep(reconcile) == 0

    assert appeal_runs.started == []
