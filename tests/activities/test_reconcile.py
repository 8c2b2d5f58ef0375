"""Every sweep of reconciliation: the rows found in Postgres, and the calls to the workflow engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.reconcile import PAGE, STALE_AFTER_S, Reconcile, Reconciled
from domain.assessments.ports import JobKey
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import ExternalServiceError
from domain.privacy import Erasure
from persistence.tables import (
    AssessmentRow,
    AsyncJobRow,
    AuditLogRow,
    CatalogImportRow,
    CredentialRow,
    UserRow,
)
from tests.activities.builders import MINUTE_AGO, job_row
from tests.support.builders import ROLE_ID, a_user, an_assessment, an_organization
from tests.support.fakes import (
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingRescores,
    RecordingRuns,
)
from tests.support.partners import a_delivery, an_endpoint
from tests.support.rescores import a_rescore

NOTHING = Reconciled(submitted=0, resumed=0, expired=0, stale_jobs=0)
UNCLAIMED: dict[str, Any] = {"status": "awaiting_async", "submitted_at": MINUTE_AGO}
CLAIMED: dict[str, Any] = UNCLAIMED | {"claimed_at": MINUTE_AGO}


@dataclass
class PagedRuns(RecordingRuns):
    """Runs that record the size of each query."""

    asked: list[int] = field(default_factory=list)

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        self.asked.append(len(assessment_ids))
        return await super().live(assessment_ids)


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
def rescores() -> RecordingRescores:
    return RecordingRescores()


@pytest.fixture
def reconcile(  # noqa: PLR0917  # the engine's ports
    database: Database,
    runs: PagedRuns,
    deliveries: RecordingDeliveries,
    erasures: RecordingErasures,
    catalog_runs: RecordingCatalogRuns,
    rescores: RecordingRescores,
) -> Reconcile:
    return Reconcile(database, runs, deliveries, erasures, catalog_runs, rescores)


async def sweep(reconcile: Reconcile) -> Reconciled:
    result: Reconciled = await ActivityEnvironment().run(reconcile.reconcile)
    return result


async def many(session: AsyncSession, number: int, **columns: Any) -> set[UUID]:
    """Assessments of one learner without questions."""
    organization_id = await an_organization(session)
    values = {
        "user_id": await a_user(session, organization_id),
        "organization_id": organization_id,
        "role_id": ROLE_ID,
        "expires_at": MINUTE_AGO,
    }
    rows = [{"id": uuid4(), **values, **columns} for _ in range(number)]
    await session.execute(insert(AssessmentRow), rows)
    return {row["id"] for row in rows}


async def test_reconciliation_without_a_difference_starts_nothing(reconcile: Reconcile) -> None:
    assert await sweep(reconcile) == NOTHING


async def test_an_unclaimed_submission_is_submitted_again_even_with_a_live_run(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    alive, dead = [await an_assessment(session, **UNCLAIMED) for _ in range(2)]
    await runs.start(alive)

    assert (await sweep(reconcile)).submitted == 2

    assert sorted(runs.submitted) == sorted([alive.id, dead.id])


async def test_a_recent_submission_is_left_to_its_caller(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    await an_assessment(session, status="awaiting_async", submitted_at=datetime.now(UTC))

    assert await sweep(reconcile) == NOTHING

    assert runs.submitted == []


async def test_a_claimed_assessment_without_a_live_run_is_submitted_again(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessment = await an_assessment(session, **CLAIMED)

    assert (await sweep(reconcile)).resumed == 1

    assert (runs.submitted, runs.started) == ([assessment.id], [])


async def test_an_assessment_in_progress_without_a_live_run_is_started(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessment = await an_assessment(session)

    assert (await sweep(reconcile)).resumed == 1

    assert (runs.submitted, runs.started) == ([], [assessment.id])


@pytest.mark.parametrize("columns", [{}, CLAIMED])
async def test_a_live_run_is_left_alone(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns, columns: dict[str, Any]
) -> None:
    assessment = await an_assessment(session, **columns)
    await runs.start(assessment)

    assert await sweep(reconcile) == NOTHING

    assert (runs.started, runs.submitted) == ([assessment.id], [])


async def test_a_due_assessment_is_submitted_so_that_its_run_expires_it(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessment = await an_assessment(session, expires_at=MINUTE_AGO)

    assert (await sweep(reconcile)).expired == 1

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

    assert await sweep(reconcile) == NOTHING

    assert (runs.started, runs.submitted) == ([], [])


@pytest.mark.parametrize("columns", [UNCLAIMED, CLAIMED, {"expires_at": MINUTE_AGO}, {}])
async def test_nothing_is_started_about_a_person_who_is_being_erased(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns, columns: dict[str, Any]
) -> None:
    assessment = await an_assessment(session, **columns)
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))

    assert await sweep(reconcile) == replace(NOTHING, erasures=1)

    assert (runs.started, runs.submitted) == ([], [])


async def test_a_sweep_reaches_beyond_the_first_page(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    expected = await many(session, PAGE + 5, **CLAIMED)

    assert (await sweep(reconcile)).resumed == PAGE + 5

    assert set(runs.submitted) == expected
    assert len(runs.submitted) == PAGE + 5
    assert runs.asked == [PAGE, 5]


async def test_jobs_that_run_for_longer_than_any_policy_allows_are_closed(
    session: AsyncSession, database: Database, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessment = await an_assessment(session, **CLAIMED)
    await runs.start(assessment)
    old, new = (JobKey(assessment_id=assessment.id, run=1, revision=1, step=step) for step in (Step.SCORE_RULES, "x"))
    async with database.transaction() as uow:
        for key in (old, new):
            await uow.jobs.begin(key, object)
        await uow.commit()
    long_ago = datetime.now(UTC) - timedelta(seconds=STALE_AFTER_S + 60)
    await session.execute(update(AsyncJobRow).where(AsyncJobRow.id == old.id).values(started_at=long_ago))

    assert (await sweep(reconcile)).stale_jobs == 1

    assert [(await job_row(session, key)).status for key in (old, new)] == ["stale", "running"]


async def test_without_the_engine_the_sweep_fails_and_the_next_one_repairs_everything(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    assessments = [
        await an_assessment(session, **columns) for columns in (UNCLAIMED, CLAIMED, {"expires_at": MINUTE_AGO})
    ]
    runs.down = True
    with pytest.raises(ExternalServiceError):
        await sweep(reconcile)

    runs.down = False

    assert await sweep(reconcile) == Reconciled(submitted=1, resumed=1, expired=1, stale_jobs=0)
    assert sorted(runs.submitted) == sorted(assessment.id for assessment in assessments)


async def test_a_delivery_without_a_live_run_is_started(
    session: AsyncSession, reconcile: Reconcile, deliveries: RecordingDeliveries
) -> None:
    organization_id = await an_organization(session)
    endpoint_id = await an_endpoint(session, organization_id=organization_id)
    alive, dead = [await a_delivery(session, endpoint_id, organization_id) for _ in range(2)]
    await a_delivery(session, endpoint_id, organization_id, status="delivered")
    await a_delivery(session, endpoint_id, organization_id, created_at=datetime.now(UTC))
    await deliveries.start(alive)

    assert (await sweep(reconcile)).deliveries == 1

    assert deliveries.started == [alive, dead]


async def test_an_erasure_without_a_live_run_is_started(
    session: AsyncSession, reconcile: Reconcile, erasures: RecordingErasures
) -> None:
    organization_id = await an_organization(session)
    alive, dead = [
        Erasure(id=await a_user(session, organization_id, status="erasing"), organization_id=organization_id)
        for _ in range(2)
    ]
    await a_user(session, organization_id, status="erased")
    await erasures.start(alive)

    assert (await sweep(reconcile)).erasures == 1

    assert erasures.started == [alive, dead]


async def test_new_audit_entries_are_sealed(session: AsyncSession, reconcile: Reconcile, database: Database) -> None:
    assessment = await an_assessment(session)
    async with database.transaction() as uow:
        await uow.assessments.save(assessment, assessment.submit())
        await uow.commit()

    await sweep(reconcile)

    unsealed = select(func.count()).where(AuditLogRow.hash.is_(None))
    assert await session.scalar(unsealed) == 0


async def an_import(session: AsyncSession, *credential_ids: UUID, **columns: Any) -> UUID:
    import_id = uuid4()
    values = {"id": import_id, "status": "queued", "row_count": 1, "credential_ids": list(credential_ids)}
    row = values | {"report": {"counts": {}, "rows": []}, "created_at": MINUTE_AGO} | columns
    await session.execute(insert(CatalogImportRow).values(**row))
    return import_id


async def status_of(session: AsyncSession, import_id: UUID) -> tuple[str, bool]:
    """The import's status, and whether it has a time of completion."""
    row = CatalogImportRow
    columns = select(row.status, row.completed_at.is_not(None)).where(row.id == import_id)
    status, completed = (await session.execute(columns)).one()
    return status, completed


async def a_credential_without_a_vector(session: AsyncSession) -> UUID:
    found = await session.scalar(select(CredentialRow.id).limit(1))
    assert found
    return found


async def test_one_run_is_started_for_all_imports_and_those_that_are_embedded_are_closed(
    session: AsyncSession, reconcile: Reconcile, catalog_runs: RecordingCatalogRuns
) -> None:
    lacking = await a_credential_without_a_vector(session)
    embedded, waiting = await an_import(session), await an_import(session, lacking)

    assert (await sweep(reconcile)).imports == 2

    assert catalog_runs.starts == 1
    assert await status_of(session, embedded) == ("succeeded", True)
    assert await status_of(session, waiting) == ("running", False)


async def test_an_import_whose_entries_were_withdrawn_waits_for_no_vector(
    session: AsyncSession, reconcile: Reconcile
) -> None:
    lacking = await a_credential_without_a_vector(session)
    await session.execute(update(CredentialRow).where(CredentialRow.id == lacking).values(active=False))
    import_id = await an_import(session, lacking, status="running")

    await sweep(reconcile)

    assert await status_of(session, import_id) == ("succeeded", True)


async def test_an_import_of_a_moment_ago_is_left_to_its_caller(
    session: AsyncSession, reconcile: Reconcile, catalog_runs: RecordingCatalogRuns
) -> None:
    import_id = await an_import(session, created_at=datetime.now(UTC))

    assert (await sweep(reconcile)).imports == 0

    assert catalog_runs.starts == 0
    assert await status_of(session, import_id) == ("queued", False)


async def test_no_import_is_closed_while_the_engine_takes_no_run(
    session: AsyncSession, reconcile: Reconcile, catalog_runs: RecordingCatalogRuns
) -> None:
    import_id = await an_import(session)
    catalog_runs.down = True

    with pytest.raises(ExternalServiceError):
        await sweep(reconcile)

    assert await status_of(session, import_id) == ("queued", False)


@pytest.mark.parametrize("status", ["queued", "computing", "applying", "discarding"])
async def test_a_working_rescore_without_a_live_run_is_started_once(
    session: AsyncSession, reconcile: Reconcile, rescores: RecordingRescores, status: str
) -> None:
    rescore_id = await a_rescore(session, await an_organization(session), role_id=ROLE_ID, status=status)

    assert [(await sweep(reconcile)).rescores for _ in range(2)] == [1, 0]

    assert rescores.started == [rescore_id]


@pytest.mark.parametrize("status", ["computed", "stopped", "discarded"])
async def test_a_resting_rescore_is_not_started(
    session: AsyncSession, reconcile: Reconcile, rescores: RecordingRescores, status: str
) -> None:
    await a_rescore(session, await an_organization(session), role_id=ROLE_ID, status=status)

    assert await sweep(reconcile) == NOTHING

    assert rescores.started == []
