"""The ledger of model replies with concurrent connections."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.grading.ledger import Reservation, SpendingLimits
from persistence.tables import ModelAnswerRow, ModelSpendingRow, UserRow
from persistence.unit_of_work import SqlDatabase
from tests.persistence.ledger import (
    LEASE_S,
    NO_LIMITS,
    NOW,
    PRICE,
    a_reply,
    change,
    committed_key,
    outcome,
    record,
    release,
    reserve,
)
from tests.persistence.test_assessments import until_blocked


@pytest.mark.parametrize(
    ("budget", "other", "loser"),
    [(None, {}, "AnswerAwaited"), (PRICE, {"epoch": 1}, "BudgetSpent")],
    ids=["the same answer", "the last of the budget"],
)
async def test_of_two_concurrent_claims_one_succeeds(
    clean_engine: AsyncEngine, budget: Decimal | None, other: dict[str, Any], loser: str
) -> None:
    database = SqlDatabase(clean_engine)
    key = await committed_key(clean_engine)
    limits = SpendingLimits(budget_cents_per_day=budget)

    async with database.transaction() as uow:
        await uow.model_answers.reserve(Reservation(key=key, lease_s=LEASE_S, highest_price_cents=PRICE), limits)
        second = asyncio.create_task(outcome(reserve(database, replace(key, **other), limits)))
        await until_blocked(clean_engine)
        await uow.commit()

    assert await second == loser


async def test_many_at_once_never_spend_more_than_the_budget(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    key = await committed_key(clean_engine)
    limits = SpendingLimits(budget_cents_per_day=5 * PRICE)

    outcomes = await asyncio.gather(
        *(outcome(reserve(database, replace(key, epoch=each), limits)) for each in range(8))
    )

    assert sorted(outcomes) == ["BudgetSpent"] * 3 + ["done"] * 5


async def test_of_many_that_take_a_lapsed_claim_over_one_gets_it(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    key = await committed_key(clean_engine)
    await reserve(database, key)
    async with AsyncSession(clean_engine) as session:
        await change(session, key, lease_until=NOW - timedelta(minutes=1))
        await session.commit()

    outcomes = await asyncio.gather(*(outcome(reserve(database, key)) for _ in range(6)))

    assert sorted(outcomes) == ["AnswerAwaited"] * 5 + ["done"]
    async with AsyncSession(clean_engine) as session:
        assert await session.scalar(select(ModelSpendingRow.cents)) == PRICE


async def test_a_claim_that_is_rolled_back_leaves_the_way_free(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    key = await committed_key(clean_engine)

    async with database.transaction() as uow:
        await uow.model_answers.reserve(Reservation(key=key, lease_s=LEASE_S, highest_price_cents=PRICE), NO_LIMITS)
        second = asyncio.create_task(outcome(reserve(database, key)))
        await until_blocked(clean_engine)

    assert await second == "done"


async def test_a_claim_waits_for_an_erasure_and_sees_it(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    key = await committed_key(clean_engine)

    async with AsyncSession(clean_engine) as session:
        await session.execute(update(UserRow).values(status="erasing"))
        claim = asyncio.create_task(outcome(reserve(database, key)))
        await until_blocked(clean_engine)
        await session.commit()

    assert await claim == "Erased"


async def test_whatever_happens_the_spending_is_what_was_paid_and_what_is_reserved(clean_engine: AsyncEngine) -> None:
    database = SqlDatabase(clean_engine)
    key = await committed_key(clean_engine)
    limits = SpendingLimits(budget_cents_per_day=Decimal(9))
    happened = set[str]()

    async def somebody(seed: int) -> None:
        random = Random(seed)
        for _ in range(25):
            each = replace(key, epoch=random.randrange(12))
            reply = a_reply(cost_cents=random.choice([None, Decimal("0.333333"), Decimal(2)]))
            lease_s, price = random.choice([0.0, LEASE_S]), random.choice([None, PRICE, Decimal("1.3")])
            acts: list[Callable[[], Awaitable[object]]] = [
                partial(reserve, database, each, limits, price, lease_s),
                partial(record, database, each, reply),
                partial(release, database, each),
            ]
            act = random.choice(acts)
            happened.add(await outcome(act()))

    await asyncio.gather(*(somebody(seed) for seed in range(8)))

    async with AsyncSession(clean_engine) as session:
        booked = func.sum(func.coalesce(ModelAnswerRow.cost_cents, 0) + ModelAnswerRow.reserved_cents)
        assert await session.scalar(select(ModelSpendingRow.cents)) == await session.scalar(select(booked))
    # There was no deadlock.
    assert {"done"} < happened <= {"done", "Conflict", "AnswerAwaited", "BudgetSpent", "NotFound"}
