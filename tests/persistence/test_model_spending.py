"""Limits of spending on model replies: an organization's daily budget and a student's attempts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.errors import AttemptsExceeded, BudgetSpent
from domain.grading.ledger import CompletionKey, SpendingLimits
from persistence.repositories.model_answers import SMALLEST_CENTS
from persistence.tables import AssessmentRow, ModelAnswerRow, ModelSpendingRow, RoleRow
from tests.persistence.ledger import (
    NOW,
    PRICE,
    TODAY,
    YESTERDAY,
    a_key,
    a_reply,
    change,
    clock,
    complete,
    record,
    reserve,
    row_of,
    spending,
    yesterday,
)
from tests.support.builders import ROLE_ID, a_user, an_assessment


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await an_assessment(session, status="awaiting_async", submitted_at=NOW, items=3)


@pytest.fixture
async def key(session: AsyncSession, assessment: Assessment) -> CompletionKey:
    return await a_key(session, assessment)


async def test_the_real_price_replaces_the_reserved_one(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key)
    assert await spending(session, assessment) == {TODAY: PRICE}

    await record(database, key, a_reply(cost_cents=Decimal("0.000001")))

    assert await spending(session, assessment) == {TODAY: Decimal("0.000001")}
    assert (await row_of(session, key)).reserved_cents == 0


async def test_amounts_are_exact(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    for epoch in range(10):
        await complete(database, replace(key, epoch=epoch), cost_cents=Decimal("0.1"))

    assert await spending(session, assessment) == {TODAY: Decimal(1)}


async def test_an_unknown_price_returns_the_reservation(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await reserve(database, key)

    await record(database, key, a_reply(cost_cents=None))

    assert (await row_of(session, key)).cost_cents is None
    assert await spending(session, assessment) == {TODAY: Decimal(0)}


async def test_the_last_of_the_budget_may_be_spent_and_not_more(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    limits = SpendingLimits(budget_cents_per_day=2 * PRICE)
    await reserve(database, key, limits)
    await reserve(database, replace(key, epoch=1), limits)

    with pytest.raises(BudgetSpent) as refused:
        await reserve(database, replace(key, epoch=2), limits, SMALLEST_CENTS)

    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 24 * 3600
    assert await spending(session, assessment) == {TODAY: 2 * PRICE}
    assert await session.scalar(select(func.count()).select_from(ModelAnswerRow)) == 2


async def test_one_call_above_the_whole_budget_is_refused(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    with pytest.raises(BudgetSpent):
        await reserve(database, key, SpendingLimits(budget_cents_per_day=PRICE - SMALLEST_CENTS))

    assert await spending(session, assessment) == {}


@pytest.mark.parametrize(("budget", "allowed"), [(SMALLEST_CENTS, True), (Decimal(0), False)])
async def test_a_call_of_unknown_price_is_allowed_until_the_budget_is_spent(
    database: Database, key: CompletionKey, budget: Decimal, *, allowed: bool
) -> None:
    refused = False
    try:
        await reserve(database, key, SpendingLimits(budget_cents_per_day=budget), None)
    except BudgetSpent:
        refused = True

    assert refused is not allowed


async def test_the_next_day_waits_until_midnight_by_utc(
    session: AsyncSession, database: Database, key: CompletionKey
) -> None:
    before = await clock(session)

    with pytest.raises(BudgetSpent) as refused:
        await reserve(database, key, SpendingLimits(budget_cents_per_day=Decimal(0)))

    after = await clock(session)
    midnight = datetime.combine(before.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
    wait = refused.value.retry_after_s
    assert wait is not None
    assert (midnight - after).total_seconds() <= wait <= (midnight - before).total_seconds()


async def test_what_was_spent_yesterday_leaves_todays_budget_alone(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    spent = {"organization_id": assessment.organization_id, "day": yesterday(), "cents": Decimal(500)}
    await session.execute(insert(ModelSpendingRow).values(**spent))

    await reserve(database, key, SpendingLimits(budget_cents_per_day=PRICE))

    assert await spending(session, assessment) == {YESTERDAY: Decimal(500), TODAY: PRICE}


async def claimed_yesterday(session: AsyncSession, database: Database, key: CompletionKey) -> None:
    await reserve(database, key)
    await change(session, key, reserved_on=yesterday(), lease_until=NOW - timedelta(hours=1))
    await session.execute(update(ModelSpendingRow).values(day=yesterday()))


async def test_a_claim_of_yesterday_that_is_taken_over_counts_today(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await claimed_yesterday(session, database, key)

    await reserve(database, key)

    assert await spending(session, assessment) == {YESTERDAY: Decimal(0), TODAY: PRICE}


async def test_a_reply_is_booked_on_the_day_of_its_claim(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    await claimed_yesterday(session, database, key)

    await record(database, key, a_reply())

    assert await spending(session, assessment) == {YESTERDAY: Decimal("0.123456")}


async def test_each_organization_has_its_own_budget(
    session: AsyncSession, database: Database, assessment: Assessment, key: CompletionKey
) -> None:
    limits = SpendingLimits(budget_cents_per_day=PRICE)
    other = await an_assessment(session, status="awaiting_async", submitted_at=NOW, items=3)
    await reserve(database, key, limits)

    await reserve(database, await a_key(session, other), limits)

    assert await spending(session, assessment) == await spending(session, other) == {TODAY: PRICE}


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def attempts(session: AsyncSession, *times: datetime) -> list[CompletionKey]:
    """Return the keys of a student's assessments of a role, submitted at these times."""
    user_id = await a_user(session)
    return [
        await a_key(
            session,
            await an_assessment(session, user_id=user_id, items=2, status="awaiting_async", submitted_at=time),
        )
        for time in times
    ]


async def allowed(database: Database, keys: list[CompletionKey], limit: int | None = 2) -> list[bool]:
    found = []
    for key in keys:
        found.append(True)
        try:
            await reserve(database, key, SpendingLimits(attempts_per_day=limit))
        except AttemptsExceeded:
            found[-1] = False
    return found


async def test_attempts_of_a_day_beyond_the_limit_buy_nothing(session: AsyncSession, database: Database) -> None:
    keys = await attempts(session, NOON, NOON + timedelta(minutes=1), NOON + timedelta(minutes=2))

    # The order of submission counts, not the order of grading.
    assert await allowed(database, keys[::-1]) == [False, True, True]


async def test_without_a_limit_every_attempt_buys(session: AsyncSession, database: Database) -> None:
    keys = await attempts(session, NOON, NOON, NOON)

    assert await allowed(database, keys, None) == [True, True, True]


async def test_attempts_of_one_moment_are_told_apart_by_id(session: AsyncSession, database: Database) -> None:
    keys = await attempts(session, NOON, NOON, NOON)

    assert await allowed(database, sorted(keys, key=lambda key: key.assessment_id)) == [True, True, False]


async def test_a_day_begins_at_midnight_by_utc(session: AsyncSession, database: Database) -> None:
    midnight = NOON.replace(hour=0)
    a_moment = timedelta(microseconds=1)
    keys = await attempts(session, midnight - 2 * a_moment, midnight - a_moment, midnight, midnight + a_moment)

    assert await allowed(database, keys) == [True, True, True, True]


async def test_attempts_of_others_do_not_count(session: AsyncSession, database: Database) -> None:
    one, other = await attempts(session, NOON), await attempts(session, NOON)

    assert await allowed(database, [*one, *other], 1) == [True, True]


async def test_attempts_at_other_roles_do_not_count(session: AsyncSession, database: Database) -> None:
    first, second = await attempts(session, NOON, NOON + timedelta(minutes=1))
    other_role = select(RoleRow.id).where(RoleRow.id != ROLE_ID).limit(1).scalar_subquery()
    await session.execute(
        update(AssessmentRow).where(AssessmentRow.id == first.assessment_id).values(role_id=other_role)
    )

    assert await allowed(database, [second], 1) == [True]
