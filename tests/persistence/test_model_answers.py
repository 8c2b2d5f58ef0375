"""The ledger of model replies: each reply is paid for once, by the holder of the lease."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.errors import AnswerAwaited, Conflict, Erased, NotFound
from domain.grading.ledger import CompletionKey, SpendingLimits
from domain.grading.model_grading import Call, Variant
from domain.grading.scores import Spent
from persistence.tables import ModelAnswerRow
from tests.persistence.ledger import (
    LEASE_S,
    NOW,
    PRICE,
    TODAY,
    a_key,
    a_reply,
    change,
    clock,
    complete,
    erase,
    record,
    release,
    replies,
    reserve,
    row_of,
    spending,
)
from tests.support.builders import an_assessment


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await an_assessment(session, status="awaiting_async", submitted_at=NOW, items=3)


@pytest.fixture
async def key(session: AsyncSession, assessment: Assessment) -> CompletionKey:
    return await a_key(session, assessment)


async def test_a_claim_is_written_with_its_lease_before_the_call(
    session: AsyncSession, database: Database, key: CompletionKey
) -> None:
    before = await clock(session)

    await reserve(database, key)

    row = await row_of(session, key)
    after = await clock(session)
    assert row.lease_until
    assert before <= row.lease_until - timedelta(seconds=LEASE_S) <= after
    assert (row.status, row.raw_reply, row.reserved_cents) == ("intended", None, PRICE)
    assert (row.rubric_hash, row.prompt_hash, row.model, row.epoch) == ("r" * 64, "p" * 64, "gpt-test", 0)
    assert (row.sample, row.round, row.variant) == key.call


async def test_a_recorded_reply_is_read_back_unchanged(
    session: AsyncSession, database: Database, key: CompletionKey
) -> None:
    reply = a_reply(raw=b"\x00\xff not even text")
    await reserve(database, key)

    await record(database, key, reply)

    assert await replies(database, key) == {key.call: reply.raw}
    row = await row_of(session, key)
    assert (row.status, row.lease_until, row.answered_at is not None) == ("answered", None, True)
    assert (row.request_id, row.latency_ms, row.cost_cents) == ("req-1", 1200, Decimal("0.123456"))
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens) == (900, 800, 210)


async def test_a_claim_is_no_answer_yet(database: Database, key: CompletionKey) -> None:
    await reserve(database, key)

    assert await replies(database, key) == {}


async def test_what_is_bought_is_told_by_call(database: Database, key: CompletionKey) -> None:
    calls = [Call(0, 0, Variant.FULL), Call(0, 1, Variant.FULL), Call(1, 0, Variant.STRIPPED)]
    for place, call in enumerate(calls):
        await complete(database, replace(key, call=call), raw=bytes([place]))

    assert await replies(database, key) == {call: bytes([place]) for place, call in enumerate(calls)}


@pytest.mark.parametrize(
    "other",
    [{"rubric_version": "s" * 64}, {"prompt_version": "q" * 64}, {"model": "gpt-other"}, {"epoch": 1}],
    ids=lambda other: next(iter(other)),
)
async def test_another_rubric_prompt_model_or_epoch_is_another_answer(
    database: Database, key: CompletionKey, other: dict[str, Any]
) -> None:
    await complete(database, key)
    another = replace(key, **other)

    assert await replies(database, another) == {}
    await complete(database, another)


async def test_a_recorded_reply_is_not_paid_for_again(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await complete(database, key)

    with pytest.raises(Conflict):
        await reserve(database, key)

    assert await spending(session, assessment) == {TODAY: Decimal("0.123456")}


async def test_a_claim_of_another_worker_is_awaited_for_the_rest_of_its_lease(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key)
    await change(session, key, lease_until=func.clock_timestamp() + timedelta(seconds=30))

    with pytest.raises(AnswerAwaited) as refused:
        await reserve(database, key)

    assert 0 < refused.value.retry_after_s <= 30
    assert await spending(session, assessment) == {TODAY: PRICE}


async def test_a_released_claim_is_taken_over_at_once(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key)
    await release(database, key)
    failed = await row_of(session, key)
    assert (failed.status, failed.lease_until, failed.reserved_cents) == ("failed", None, Decimal(0))
    assert await spending(session, assessment) == {TODAY: Decimal(0)}

    await reserve(database, key)

    assert (await row_of(session, key)).status == "intended"
    assert await spending(session, assessment) == {TODAY: PRICE}


async def test_an_expired_claim_is_taken_over_without_reserving_twice(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key)
    await change(session, key, lease_until=NOW - timedelta(minutes=1))

    await reserve(database, key, SpendingLimits(budget_cents_per_day=PRICE))

    row = await row_of(session, key)
    assert row.lease_until
    assert row.lease_until > NOW
    assert await spending(session, assessment) == {TODAY: PRICE}


async def test_releasing_a_recorded_or_unclaimed_reply_changes_nothing(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await complete(database, key)

    await release(database, key)
    await release(database, replace(key, epoch=1))

    assert (await row_of(session, key)).status == "answered"
    assert await spending(session, assessment) == {TODAY: Decimal("0.123456")}


async def test_a_claim_that_was_taken_over_is_not_released_by_its_first_holder(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    lost = await reserve(database, key, lease_s=0.0)
    await reserve(database, key)

    await release(database, key, lost)

    assert (await row_of(session, key)).status == "intended"
    assert await spending(session, assessment) == {TODAY: PRICE}


async def test_the_first_recorded_reply_stays_and_a_later_one_is_booked_too(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await complete(database, key)

    kept = await record(database, key, a_reply(raw=b"late", cost_cents=Decimal(7)))

    assert kept == a_reply().raw
    assert await replies(database, key) == {key.call: a_reply().raw}
    assert await spending(session, assessment) == {TODAY: Decimal("7.123456")}
    assert (await row_of(session, key)).cost_cents == Decimal("7.123456")


async def test_a_reply_after_its_lease_expired_is_booked_with_the_reply_of_the_next_lease(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key, lease_s=0.0)
    await reserve(database, key)

    for raw, cost_cents in ((b"late", Decimal(2)), (b"next", Decimal(3))):
        assert await record(database, key, a_reply(raw=raw, cost_cents=cost_cents)) == b"late"

    assert await spending(session, assessment) == {TODAY: Decimal(5)}
    assert (await row_of(session, key)).reserved_cents == 0


@pytest.mark.parametrize("late", [False, True])
async def test_recording_a_reply_again_after_a_lost_acknowledgement_books_it_once(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey, *, late: bool
) -> None:
    await reserve(database, key)
    if late:
        await record(database, key, a_reply(raw=b"first", cost_cents=Decimal(1)))
    reply = a_reply(cost_cents=Decimal(2))

    for _ in range(3):
        await record(database, key, reply)

    assert await spending(session, assessment) == {TODAY: Decimal(2 + late)}


@pytest.mark.parametrize(
    ("first", "second", "cost_cents"),
    [(None, Decimal(2), Decimal(2)), (Decimal(2), None, Decimal(2)), (None, None, None)],
)
async def test_a_later_reply_of_unknown_price_leaves_what_is_known(
    session: AsyncSession,
    database: Database,
    assessment: Assessment,
    key: CompletionKey,
    *,
    first: Decimal | None,
    second: Decimal | None,
    cost_cents: Decimal | None,
) -> None:
    await complete(database, key, cost_cents=first)

    await record(database, key, a_reply(cost_cents=second))

    assert (await row_of(session, key)).cost_cents == cost_cents
    assert await spending(session, assessment) == {TODAY: cost_cents or Decimal(0)}


async def test_a_reply_after_the_release_of_its_claim_is_recorded_with_its_cost(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key)
    await release(database, key)

    await record(database, key, a_reply())

    assert await replies(database, key) == {key.call: a_reply().raw}
    assert await spending(session, assessment) == {TODAY: Decimal("0.123456")}


async def test_a_reply_that_nobody_claimed_is_a_fault(database: Database, key: CompletionKey) -> None:
    with pytest.raises(NotFound):
        await record(database, key, a_reply())


async def test_an_assessment_that_is_not_there_buys_nothing(database: Database, key: CompletionKey) -> None:
    with pytest.raises(NotFound):
        await reserve(database, replace(key, assessment_id=uuid4()))


async def test_nothing_is_reserved_for_a_user_being_erased(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await erase(session, assessment)

    with pytest.raises(Erased):
        await reserve(database, key)

    assert await spending(session, assessment) == {}
    assert await session.scalar(select(func.count()).select_from(ModelAnswerRow)) == 0


async def test_nothing_is_recorded_about_a_user_being_erased(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key)
    await erase(session, assessment)

    async with database.transaction() as uow:
        with pytest.raises(Erased):
            await uow.model_answers.record(key, a_reply())
        await uow.commit()

    assert (await row_of(session, key)).raw_reply is None
    assert await spending(session, assessment) == {TODAY: PRICE}


async def test_cost_and_latency_of_an_essay_are_sums_over_its_replies(
    database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    corrected = replace(key, call=Call(0, 1, Variant.FULL))
    await complete(database, key, latency_ms=1000, cost_cents=Decimal("0.1"))
    await complete(database, corrected, latency_ms=500, cost_cents=Decimal("0.2"))
    await reserve(database, replace(key, epoch=1))

    async with database.transaction() as uow:
        spent = await uow.model_answers.spent(assessment.id)

    assert spent == {key.snapshot_id: Spent(latency_ms=1500, cost_cents=Decimal("0.3"))}


async def test_one_unknown_cost_makes_the_sum_unknown(
    database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await complete(database, key)
    await complete(database, replace(key, epoch=1), cost_cents=None)

    async with database.transaction() as uow:
        assert (await uow.model_answers.spent(assessment.id))[key.snapshot_id].cost_cents is None


async def test_the_highest_epoch_is_that_of_any_claim(
    database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    async with database.transaction() as uow:
        assert await uow.model_answers.epochs(assessment.id) == {}
    await complete(database, key)
    await reserve(database, replace(key, epoch=2))
    await release(database, replace(key, epoch=2))

    async with database.transaction() as uow:
        assert await uow.model_answers.epochs(assessment.id) == {key.snapshot_id: 2}


async def test_a_deleted_reply_reads_as_empty_and_is_not_paid_for_again(
    session: AsyncSession, database: Database, key: CompletionKey
) -> None:
    await reserve(database, key)
    await record(database, key, a_reply())
    await session.execute(update(ModelAnswerRow).values(raw_reply=None))

    assert await replies(database, key) == {key.call: b""}
    with pytest.raises(Conflict):
        await reserve(database, key)
