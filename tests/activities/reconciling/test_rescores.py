"""Reconciliation of re-scores."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.reconcile import Reconcile, SweepInput, Swept
from domain.database import Database
from domain.sweeps import Concern
from tests.support.builders import ROLE_ID, an_organization
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
    RecordingRuns,
)
from tests.support.rescores import a_rescore


@pytest.fixture
def rescores() -> RecordingRescores:
    return RecordingRescores()


@pytest.fixture
def reconcile(database: Database, rescores: RecordingRescores) -> Reconcile:
    """A reconciliation that trusts the engine's index."""
    others = RecordingRuns(), RecordingDeliveries(), RecordingErasures(), RecordingCatalogRuns(), RecordingAppeals()
    return Reconcile(database, *others, rescores, RecordingLinkMails(), minute=lambda: -1)


async def sweep(reconcile: Reconcile) -> int:
    """Sweep re-scores; return the number of started runs."""
    swept: Swept = await ActivityEnvironment().run(reconcile.reconcile, SweepInput(concern=Concern.RESCORES))
    return swept.started


@pytest.mark.parametrize("status", ["queued", "computing", "applying", "discarding"])
async def test_a_working_rescore_without_a_live_run_is_started_once(
    session: AsyncSession, reconcile: Reconcile, rescores: RecordingRescores, status: str
) -> None:
    rescore_id = await a_rescore(session, await an_organization(session), role_id=ROLE_ID, status=status)

    assert [await sweep(reconcile) for _ in range(2)] == [1, 0]

    assert rescores.started == [rescore_id]


@pytest.mark.parametrize("status", ["computed", "stopped", "discarded"])
async def test_a_resting_rescore_is_not_started(
    session: AsyncSession, reconcile: Reconcile, rescores: RecordingRescores, status: str
) -> None:
    await a_rescore(session, await an_organization(session), role_id=ROLE_ID, status=status)

    assert await sweep(reconcile) == 0

    assert rescores.started == []
