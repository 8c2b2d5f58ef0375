"""A reconciliation with recorded calls to the workflow engine."""

import pytest

from activities.reconcile import Reconcile
from domain.database import Database
from tests.activities.reconciling.sweeps import NEVER, PagedRuns
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
)


@pytest.fixture
def runs() -> PagedRuns:
    return PagedRuns()


@pytest.fixture
def deliveries() -> RecordingDeliveries:
    return RecordingDeliveries()


@pytest.fixture
def erasures() -> RecordingErasures:
    return RecordingErasures()


@pytest.fixture
def catalog_runs() -> RecordingCatalogRuns:
    return RecordingCatalogRuns()


@pytest.fixture
def reconcile(
    database: Database,
    runs: PagedRuns,
    deliveries: RecordingDeliveries,
    erasures: RecordingErasures,
    catalog_runs: RecordingCatalogRuns,
) -> Reconcile:
    return Reconcile(
        database,
        runs,
        deliveries,
        erasures,
        catalog_runs,
        RecordingAppeals(),
        RecordingRescores(),
        RecordingLinkMails(),
        minute=lambda: NEVER,
    )


@pytest.fixture
def hurried(database: Database, runs: PagedRuns, catalog_runs: RecordingCatalogRuns) -> Reconcile:
    """A reconciliation whose sweeps have time for one batch of calls."""
    deliveries, erasures = RecordingDeliveries(), RecordingErasures()
    return Reconcile(
        database,
        runs,
        deliveries,
        erasures,
        catalog_runs,
        RecordingAppeals(),
        RecordingRescores(),
        RecordingLinkMails(),
        budget_s=0.0,
        minute=lambda: NEVER,
    )
