"""Helpers for tests of the ledger: each call is a separate unit of work."""

from collections.abc import Awaitable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.errors import AppError
from domain.grading.ledger import Completion, CompletionKey, Reservation, SpendingLimits
from domain.grading.model_grading import Call, Variant
from persistence.tables import ModelAnswerRow, ModelSpendingRow, QuestionSnapshotRow, UserRow
from tests.support.builders import an_assessment

NO_LIMITS = SpendingLimits()
PRICE = Decimal("0.4")
LEASE_S = 65.0
NOW = datetime.now(UTC)
TODAY, YESTERDAY = 0, -1
"""Days as the keys of `spending`."""


async def a_key(session: AsyncSession, assessment: Assessment) -> CompletionKey:
    """Return the key of the first reply for the first essay."""
    snapshot_id = await session.scalar(
        select(QuestionSnapshotRow.id)
        .where(QuestionSnapshotRow.assessment_id == assessment.id, QuestionSnapshotRow.kind == "text")
        .order_by(QuestionSnapshotRow.position)
    )
    assert snapshot_id
    return CompletionKey(
        assessment_id=assessment.id,
        snapshot_id=snapshot_id,
        rubric_version="r" * 64,
        prompt_version="p" * 64,
        model="gpt-test",
        epoch=0,
        call=Call(0, 0, Variant.FULL),
    )


def a_reply(**changes: Any) -> Completion:
    values: dict[str, Any] = {
        "raw": b'{"levels": []}',
        "request_id": "req-1",
        "latency_ms": 1200,
        "prompt_tokens": 900,
        "cached_tokens": 800,
        "completion_tokens": 210,
        "cost_cents": Decimal("0.123456"),
    }
    return Completion(**(values | changes))


async def reserve(
    database: Database,
    key: CompletionKey,
    limits: SpendingLimits = NO_LIMITS,
    price: Decimal | None = PRICE,
    lease_s: float = LEASE_S,
) -> datetime:
    """Return the end of the lease."""
    reservation = Reservation(key=key, lease_s=lease_s, highest_price_cents=price)
    async with database.transaction() as uow:
        claim = await uow.model_answers.reserve(reservation, limits)
        await uow.commit()
    return claim


async def record(database: Database, key: CompletionKey, reply: Completion) -> bytes:
    async with database.transaction() as uow:
        kept = await uow.model_answers.record(key, reply)
        await uow.commit()
    return kept


async def release(database: Database, key: CompletionKey, claim: datetime | None = None) -> None:
    """Release the current claim, or the claim whose lease ends at `claim`."""
    async with database.transaction() as uow:
        held = await uow.model_answers._session.scalar(  # type: ignore[attr-defined]  # the SQL one
            select(ModelAnswerRow.lease_until).where(ModelAnswerRow.id == key.id)
        )
        await uow.model_answers.release(key, claim or held or NOW)
        await uow.commit()


async def complete(database: Database, key: CompletionKey, **reply: Any) -> None:
    await reserve(database, key)
    await record(database, key, a_reply(**reply))


async def replies(database: Database, key: CompletionKey) -> dict[Call, bytes]:
    async with database.transaction() as uow:
        return await uow.model_answers.replies(key)


async def row_of(session: AsyncSession, key: CompletionKey) -> ModelAnswerRow:
    found = await session.execute(
        select(ModelAnswerRow).where(ModelAnswerRow.id == key.id), execution_options={"populate_existing": True}
    )
    return found.scalar_one()


def yesterday() -> date:
    return datetime.now(UTC).date() - timedelta(days=1)


async def spending(session: AsyncSession, assessment: Assessment) -> dict[int, Decimal]:
    """Return the organization's cents by day, relative to today."""
    found = await session.execute(
        select(ModelSpendingRow.day, ModelSpendingRow.cents).where(
            ModelSpendingRow.organization_id == assessment.organization_id
        )
    )
    today = datetime.now(UTC).date()
    return {(row.day - today).days: row.cents for row in found}


async def clock(session: AsyncSession) -> datetime:
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def change(session: AsyncSession, key: CompletionKey, **columns: Any) -> None:
    await session.execute(update(ModelAnswerRow).where(ModelAnswerRow.id == key.id).values(**columns))


async def erase(session: AsyncSession, assessment: Assessment) -> None:
    await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))


async def committed_key(engine: AsyncEngine) -> CompletionKey:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        assessment = await an_assessment(session, status="awaiting_async", submitted_at=NOW, items=2)
        await session.commit()
        return await a_key(session, assessment)


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except AppError as error:
        return type(error).__name__
    return "done"
