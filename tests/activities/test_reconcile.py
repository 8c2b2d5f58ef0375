"""Every sweep of reconciliation: the rows found in Postgres, and the calls to the workflow engine."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.reconcile import STALE_AFTER_S, Reconcile, SweepInput, Swept
from activities.sweeping import AT_ONCE, PAGE
from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import JobKey
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import ExternalServiceError, InvalidInput
from domain.privacy import Erasure
from domain.sweeps import Concern
from persistence.tables import (
    AssessmentRow,
    AsyncJobRow,
    AuditLogRow,
    CatalogImportRow,
    CredentialRow,
    ReviewItemRow,
    SweepRow,
    UserRow,
)
from tests.activities.builders import MINUTE_AGO, job_row
from tests.support.builders import ROLE_ID, a_result, a_user, an_assessment, an_organization
from tests.support.fakes import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
    RecordingRuns,
)
from tests.support.partners import a_delivery, an_endpoint

UNCLAIMED: dict[str, Any] = {"status": "awaiting_async", "submitted_at": MINUTE_AGO}
CLAIMED: dict[str, Any] = UNCLAIMED | {"claimed_at": MINUTE_AGO}
DUE: dict[str, Any] = {"status": "in_progress", "expires_at": MINUTE_AGO}
NEVER = -1
"""A minute at which no row is checked without the engine's index."""


@dataclass
class PagedRuns(RecordingRuns):
    """Runs that record the size of each query. The calls about the `broken` assessments fail."""

    asked: list[int] = field(default_factory=list)
    broken: set[UUID] = field(default_factory=set)
    index_down: bool = False
    submit_s: float = 0.0

    async def submit(self, assessment: Assessment) -> None:
        await asyncio.sleep(self.submit_s)
        if assessment.id in self.broken:
            raise ExternalServiceError("The workflow engine did not take the call")
        await super().submit(assessment)

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        self.asked.append(len(assessment_ids))
        if self.index_down:
            raise ExternalServiceError("The index did not answer")
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


async def sweep(reconcile: Reconcile, concern: str) -> Swept:
    result: Swept = await ActivityEnvironment().run(reconcile.reconcile, SweepInput(concern=concern))
    return result


async def sweep_all(reconcile: Reconcile) -> dict[Concern, int]:
    """Sweep every concern. Return the numbers of started runs, without those of upkeep."""
    swept = {concern: await sweep(reconcile, concern) for concern in Concern if concern is not Concern.AUDIT}
    return {concern: result.started for concern, result in swept.items() if result.started}


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


async def test_a_sweep_reaches_beyond_the_first_page(
    session: AsyncSession, reconcile: Reconcile, runs: PagedRuns
) -> None:
    expected = await many(session, PAGE + 5, **CLAIMED)

    assert (await sweep(reconcile, Concern.CLAIMED)).started == PAGE + 5

    assert set(runs.submitted) == expected
    assert len(runs.submitted) == PAGE + 5
    assert runs.asked == [PAGE, 5]


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


async def test_a_delivery_without_a_live_run_is_started(
    session: AsyncSession, reconcile: Reconcile, deliveries: RecordingDeliveries
) -> None:
    organization_id = await an_organization(session)
    endpoint_id = await an_endpoint(session, organization_id=organization_id)
    alive, dead = [await a_delivery(session, endpoint_id, organization_id) for _ in range(2)]
    await a_delivery(session, endpoint_id, organization_id, status="delivered")
    await a_delivery(session, endpoint_id, organization_id, created_at=datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(hours=1)
    await a_delivery(session, endpoint_id, organization_id, attempts=3, next_attempt_at=later)
    await deliveries.start(alive)

    assert (await sweep(reconcile, Concern.DELIVERIES)).started == 1

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

    assert (await sweep(reconcile, Concern.ERASURES)).started == 1

    assert erasures.started == [alive, dead]


async def test_new_audit_entries_are_sealed(session: AsyncSession, reconcile: Reconcile, database: Database) -> None:
    assessment = await an_assessment(session)
    async with database.transaction() as uow:
        await uow.assessments.save(assessment, assessment.submit())
        await uow.commit()

    await sweep(reconcile, Concern.AUDIT)

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

    assert (await sweep(reconcile, Concern.IMPORTS)).rows == 2

    assert catalog_runs.starts == 1
    assert await status_of(session, embedded) == ("succeeded", True)
    assert await status_of(session, waiting) == ("running", False)


async def test_an_import_whose_entries_were_withdrawn_waits_for_no_vector(
    session: AsyncSession, reconcile: Reconcile
) -> None:
    lacking = await a_credential_without_a_vector(session)
    await session.execute(update(CredentialRow).where(CredentialRow.id == lacking).values(active=False))
    import_id = await an_import(session, lacking, status="running")

    await sweep(reconcile, Concern.IMPORTS)

    assert await status_of(session, import_id) == ("succeeded", True)


async def test_an_import_of_a_moment_ago_is_left_to_its_caller(
    session: AsyncSession, reconcile: Reconcile, catalog_runs: RecordingCatalogRuns
) -> None:
    import_id = await an_import(session, created_at=datetime.now(UTC))

    assert (await sweep(reconcile, Concern.IMPORTS)).rows == 0

    assert catalog_runs.starts == 0
    assert await status_of(session, import_id) == ("queued", False)


async def test_no_import_is_closed_while_the_engine_takes_no_run(
    session: AsyncSession, reconcile: Reconcile, catalog_runs: RecordingCatalogRuns
) -> None:
    import_id = await an_import(session)
    catalog_runs.down = True

    swept = await sweep(reconcile, Concern.IMPORTS)

    assert dict(swept.errors) == {ExternalServiceError.code: 1}
    assert await status_of(session, import_id) == ("queued", False)
