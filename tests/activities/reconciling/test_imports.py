"""Reconciliation of catalogue imports."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.reconcile import Reconcile
from domain.errors import ExternalServiceError
from domain.sweeps import Concern
from persistence.tables import CatalogImportRow, CredentialRow
from tests.activities.builders import MINUTE_AGO
from tests.activities.reconciling.sweeps import sweep
from tests.support.fake_engine import RecordingCatalogRuns


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
