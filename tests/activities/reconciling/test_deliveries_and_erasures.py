"""Reconciliation of deliveries and erasures, and the sealing of audit entries."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.reconcile import Reconcile
from domain.database import Database
from domain.privacy import Erasure
from domain.sweeps import Concern
from persistence.tables import AuditLogRow
from tests.activities.reconciling.sweeps import sweep
from tests.support.builders import a_user, an_assessment, an_organization
from tests.support.fake_engine import RecordingDeliveries, RecordingErasures
from tests.support.partners import a_delivery, an_endpoint


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
