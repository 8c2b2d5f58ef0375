"""A reconciliation with recorded calls to the workflow engine."""

import pytest

from activities.reconcile import BUDGET_S, Reconcile
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


def reconcile_with(  # noqa: PLR0917  # the ports that tests read
    database: Database,
    runs: PagedRuns,
    deliveries: RecordingDeliveries,
    erasures: RecordingErasures,
    catalog_runs: RecordingCatalogRuns,
    budget_s: float = BUDGET_S,
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
        budget_s=budget_s,
        minute=lambda: NEVER,
    )


@pytest.fixture
def reconcile(
    database: Database,
    runs: PagedRuns,
    deliveries: RecordingDeliveries,
    erasures: RecordingErasures,
    catalog_runs: RecordingCatalogRuns,
) -> Reconcile:
    return reconcile_with(database, runs, deliveries, erasures, catalog_runs)


@pytest.fixture
def hurried(database: Database, runs: PagedRuns, catalog_runs: RecordingCatalogRuns) -> Reconcile:
    """A reconciliation whose sweeps have time for one batch of calls."""
    return reconcile_with(database, runs, RecordingDeliveries(), RecordingErasures(), catalog_runs, budget_s=0.0)
