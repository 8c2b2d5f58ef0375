"""Old data is deleted, newer data stays."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.retain import Retain, RetainInput
from domain.database import Database
from domain.privacy import RetentionRule
from persistence.repositories.retention import RetentionSettings
from persistence.tables import (
    AppealRow,
    AssessmentRow,
    AsyncJobRow,
    Base,
    DeniedRequestsRow,
    IdempotencyKeyRow,
    ModelAnswerRow,
    OrganizationRow,
    RefreshTokenRow,
    RescoreDifferenceRow,
    RescoreRow,
    ResponseRow,
    WebhookAttemptRow,
    WebhookDeliveryRow,
    WebhookEventRow,
)
from persistence.tables.base import table_of
from tests.persistence.people import Marked, a_marked_person
from tests.support.builders import some_credentials

DAYS = 30
OLD = datetime.now(UTC) - timedelta(days=DAYS + 1)
YOUNG = datetime.now(UTC) - timedelta(days=DAYS - 1)


@pytest.fixture
async def person(session: AsyncSession, database: Database) -> Marked:
    person = await a_marked_person(session, database, await some_credentials(session), "kept-1")
    await session.execute(update(AssessmentRow).values(healing="none"))
    await session.execute(update(WebhookDeliveryRow).values(status="delivered"))
    return person


async def apply(database: Database, rule: RetentionRule, days: int = DAYS, limit: int = 1000) -> int:
    """Apply the rule in batches, as the activity does. Return the number of deleted or blanked rows."""
    activity = Retain(database, {rule: days}, batch=limit)
    gone: int = await ActivityEnvironment().run(activity.retain, RetainInput(rule=rule))
    return gone


async def count(session: AsyncSession, row: type[Base]) -> int:
    return (await session.scalar(select(func.count()).select_from(table_of(row)))) or 0


AGED: list[tuple[RetentionRule, type[Base], str]] = [
    (RetentionRule.IDEMPOTENCY_KEYS, IdempotencyKeyRow, "expires_at"),
    (RetentionRule.REFRESH_TOKENS, RefreshTokenRow, "expires_at"),
    (RetentionRule.WEBHOOK_ATTEMPTS, WebhookAttemptRow, "started_at"),
    (RetentionRule.WEBHOOK_EVENTS, WebhookEventRow, "created_at"),
    (RetentionRule.JOBS, AsyncJobRow, "completed_at"),
    (RetentionRule.DENIALS, DeniedRequestsRow, "hour"),
    (RetentionRule.RESCORES, RescoreDifferenceRow, "created_at"),
]


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("limit", [1, 1000])
@pytest.mark.parametrize(("rule", "row", "column"), AGED)
async def test_old_rows_are_deleted(
    session: AsyncSession, database: Database, rule: RetentionRule, row: type[Base], column: str, *, limit: int
) -> None:
    there = await count(session, row)
    await session.execute(update(row).values({column: YOUNG}))
    assert await apply(database, rule, limit=limit) == 0

    await session.execute(update(row).values({column: OLD}))
    assert await apply(database, rule, limit=limit) == there > 0

    assert await count(session, row) == 0


@pytest.mark.usefixtures("person")
async def test_a_batch_does_not_exceed_its_limit(session: AsyncSession, database: Database) -> None:
    await session.execute(update(IdempotencyKeyRow).values(expires_at=OLD))

    async with database.transaction() as uow:
        batch = await uow.retention.apply(RetentionRule.IDEMPOTENCY_KEYS, days=DAYS, after=None, limit=1)
        await uow.commit()

    assert batch.rows == await count(session, IdempotencyKeyRow) == 1


@pytest.mark.usefixtures("person")
async def test_an_event_with_a_pending_delivery_stays(session: AsyncSession, database: Database) -> None:
    await session.execute(update(WebhookEventRow).values(created_at=OLD))
    await session.execute(update(WebhookDeliveryRow).values(status="pending"))

    assert await apply(database, RetentionRule.WEBHOOK_EVENTS) == 0


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("status", ["computing", "applying"])
async def test_differences_that_a_workflow_needs_stay(session: AsyncSession, database: Database, status: str) -> None:
    await session.execute(update(RescoreDifferenceRow).values(created_at=OLD))
    await session.execute(update(RescoreRow).values(status=status))

    assert await apply(database, RetentionRule.RESCORES) == 0


@pytest.mark.usefixtures("person")
async def test_data_that_healing_needs_stays(session: AsyncSession, database: Database) -> None:
    await _age(session)
    await session.execute(update(AssessmentRow).values(healing="due"))

    rules = [RetentionRule.JOBS, RetentionRule.MODEL_REPLIES, RetentionRule.ANSWERS]
    assert [await apply(database, rule) for rule in rules] == [0, 0, 0]


@pytest.mark.usefixtures("person")
async def test_data_of_a_held_result_stays(session: AsyncSession, database: Database) -> None:
    await _age(session)
    await session.execute(update(AssessmentRow).values(released_revision=0))

    rules = [RetentionRule.JOBS, RetentionRule.MODEL_REPLIES, RetentionRule.ANSWERS]
    assert [await apply(database, rule) for rule in rules] == [0, 0, 0]


@pytest.mark.usefixtures("person")
async def test_the_age_of_answers_counts_from_the_release(session: AsyncSession, database: Database) -> None:
    await _age(session)
    await session.execute(update(AssessmentRow).values(released_at=YOUNG))

    assert await apply(database, RetentionRule.ANSWERS) == 0


@pytest.mark.usefixtures("person")
async def test_a_raw_reply_is_deleted_and_its_ledger_row_stays(session: AsyncSession, database: Database) -> None:
    await _age(session)

    assert [await apply(database, RetentionRule.MODEL_REPLIES) for _ in range(2)] == [1, 0]

    row = (await session.execute(select(ModelAnswerRow.status, ModelAnswerRow.raw_reply))).one()
    assert tuple(row) == ("answered", None)


@pytest.mark.parametrize(("own", "setting"), [(None, DAYS), (DAYS, 0)])
async def test_an_organizations_retention_overrides_the_setting(
    session: AsyncSession, database: Database, person: Marked, own: int | None, setting: int
) -> None:
    await _age(session)
    await _keep_answers(session, person, own)

    assert await apply(database, RetentionRule.ANSWERS, days=setting) > 0

    assert await count(session, ResponseRow) == 0
    assert await session.scalar(select(ModelAnswerRow.raw_reply)) is None


@pytest.mark.usefixtures("person")
async def test_the_texts_of_appeals_are_deleted_with_the_answers(session: AsyncSession, database: Database) -> None:
    await _age(session)

    await apply(database, RetentionRule.ANSWERS)

    appeal = (await session.execute(select(AppealRow.state, AppealRow.reason, AppealRow.message))).one()
    assert tuple(appeal) == ("rejected", None, None)


@pytest.mark.usefixtures("person")
async def test_data_that_an_open_appeal_needs_stays(session: AsyncSession, database: Database) -> None:
    await _age(session)
    await session.execute(update(AppealRow).values(state="open", closed_at=None, answered_by=None))

    rules = [RetentionRule.JOBS, RetentionRule.MODEL_REPLIES, RetentionRule.ANSWERS]
    assert [await apply(database, rule) for rule in rules] == [0, 0, 0]


@pytest.mark.parametrize(("own", "setting"), [(None, 0), (9 * DAYS, DAYS)])
async def test_answers_stay_without_any_retention(
    session: AsyncSession, database: Database, person: Marked, own: int | None, setting: int
) -> None:
    await _age(session)
    await _keep_answers(session, person, own)

    assert await apply(database, RetentionRule.ANSWERS, days=setting) == 0


def test_zero_days_keep_data_for_ever() -> None:
    settings = RetentionSettings.model_validate({"webhook_events_days": 0, "jobs_days": 7})

    assert RetentionRule.WEBHOOK_EVENTS not in settings.days
    assert settings.days[RetentionRule.JOBS] == 7


def test_expired_rows_are_always_deleted() -> None:
    always = {RetentionRule.IDEMPOTENCY_KEYS, RetentionRule.REFRESH_TOKENS}

    assert {rule: RetentionSettings().days[rule] for rule in always} == dict.fromkeys(always, 0)


def test_answers_are_kept_unless_an_organization_says_otherwise() -> None:
    assert RetentionSettings().days[RetentionRule.ANSWERS] == 0


async def _keep_answers(session: AsyncSession, person: Marked, days: int | None) -> None:
    mine = update(OrganizationRow).where(OrganizationRow.id == person.organization_id)
    await session.execute(mine.values(answers_kept_days=days))


async def _age(session: AsyncSession) -> None:
    await session.execute(update(AssessmentRow).values(created_at=OLD, completed_at=OLD, released_at=OLD))
    await session.execute(update(ModelAnswerRow).values(answered_at=OLD))
    await session.execute(update(AsyncJobRow).values(completed_at=OLD))
