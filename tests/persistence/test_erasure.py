"""Erasing a user: what is deleted, what stays, and which writes are refused from the start."""

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from api.services.feedback import FeedbackService
from api.services.reviews import Judgement, ReviewService
from domain.database import Database
from domain.errors import Conflict, Erased, NotFound
from domain.privacy import Erasure
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.export import PERSONAL_DATA
from persistence.repositories.feedback import NewFeedback
from persistence.repositories.redeliveries import Redeliveries
from persistence.request_database import RequestUnitOfWork
from persistence.tables import (
    AccountLinkRow,
    AssessmentRow,
    AuditLogRow,
    CohortMemberRow,
    CohortRow,
    DeniedRequestsRow,
    IdempotencyKeyRow,
    MetricSnapshotRow,
    ModelAnswerRow,
    QuestionSnapshotRow,
    ReviewItemRow,
    UserRow,
    WebhookDeliveryRow,
)
from persistence.tables.base import table_of
from tests.persistence.people import Marked, a_marked_person, column
from tests.support.builders import a_user, an_assessment, an_organization, some_credentials
from tests.support.markers import TABLES, found_in

MARKER, OTHER = "marker-of-the-erased-4417", "marker-of-somebody-else-9052"


@pytest.fixture
async def credentials(session: AsyncSession) -> list[UUID]:
    return await some_credentials(session)


@pytest.fixture
async def person(session: AsyncSession, database: Database, credentials: list[UUID]) -> Marked:
    return await a_marked_person(session, database, credentials, MARKER)


async def begin(database: Database, person: Marked) -> Erasure:
    async with database.transaction() as uow:
        erasure = await uow.erasures.begin(person.id, **person.viewer)
        await uow.commit()
    return erasure


async def erase(database: Database, person: Marked) -> None:
    await begin(database, person)
    async with database.transaction() as uow:
        page = await uow.erasures.assessments(person.id, after=None, limit=10)
        await uow.erasures.forget_assessments(page)
        await uow.erasures.forget_account(person.id)
        await uow.erasures.finish(person.id)
        await uow.commit()


async def stored(session: AsyncSession) -> dict[str, list[str]]:
    """Return every row of every table as text, in the order of the texts."""
    tables = list(await session.scalars(text(TABLES)))
    return {
        table: sorted(await session.scalars(text(f"SELECT each::text FROM {table} AS each")))  # noqa: S608  # its own names
        for table in tables
    }


def with_marker(rows: dict[str, list[str]], marker: str) -> dict[str, list[str]]:
    found = {table: [each for each in texts if found_in(each, [marker])] for table, texts in rows.items()}
    return {table: texts for table, texts in found.items() if texts}


async def test_no_table_contains_what_the_user_wrote(session: AsyncSession, database: Database, person: Marked) -> None:
    assert len(with_marker(await stored(session), MARKER)) >= 15

    await erase(database, person)

    assert with_marker(await stored(session), MARKER) == {}


async def test_essays_leave_the_review_queue(session: AsyncSession, database: Database, person: Marked) -> None:
    await session.execute(
        update(AssessmentRow).where(AssessmentRow.id == person.assessment_id).values(needs_review=True)
    )
    await erase(database, person)

    assert await session.scalar(select(func.count()).select_from(ReviewItemRow)) == 0
    flagged = select(AssessmentRow.needs_review).where(AssessmentRow.id == person.assessment_id)
    assert await session.scalar(flagged) is False


async def test_claims_of_an_erased_reviewer_end(
    session: AsyncSession, database: Database, person: Marked, credentials: list[UUID]
) -> None:
    other = await a_marked_person(session, database, credentials, OTHER)
    await session.execute(
        update(ReviewItemRow)
        .where(ReviewItemRow.user_id == other.id)
        .values(claimed_by=person.id, claimed_until=datetime.now(UTC))
    )
    await erase(database, person)

    claims = select(ReviewItemRow.claimed_by, ReviewItemRow.claimed_until)
    assert [tuple(row) for row in await session.execute(claims)] == [(None, None)]


async def test_data_of_other_users_is_unchanged(
    session: AsyncSession, database: Database, person: Marked, credentials: list[UUID]
) -> None:
    await a_marked_person(session, database, credentials, OTHER)
    before = with_marker(await stored(session), OTHER)

    await erase(database, person)

    assert with_marker(await stored(session), OTHER) == before


async def test_anonymous_ids_and_numbers_stay(session: AsyncSession, database: Database, person: Marked) -> None:
    async def counts() -> list[int | None]:
        columns = [MetricSnapshotRow.assessment_id, QuestionSnapshotRow.assessment_id, ModelAnswerRow.assessment_id]
        return [await session.scalar(select(func.count()).where(column == person.assessment_id)) for column in columns]

    before = await counts()
    await erase(database, person)

    assert await counts() == before
    assert await session.scalar(select(AssessmentRow.revision).where(AssessmentRow.id == person.assessment_id)) == 1


async def test_a_paid_model_reply_stays_as_a_row(session: AsyncSession, database: Database, person: Marked) -> None:
    await erase(database, person)

    answer = select(ModelAnswerRow.status, ModelAnswerRow.raw_reply)
    row = (await session.execute(answer.where(ModelAnswerRow.assessment_id == person.assessment_id))).one()
    assert tuple(row) == ("answered", None)


async def test_the_account_stays_as_a_blank_row(session: AsyncSession, database: Database, person: Marked) -> None:
    await erase(database, person)

    blank = dict.fromkeys(("name", "external_id", "password_hash", "profile", "language"))
    usual = {"time_factor": 1, "extra_minutes": 0}
    kept = {name: await column(session, person, name) for name in ("status", "email", *blank, *usual)}
    assert kept == blank | usual | {"status": "erased", "email": f"{person.id}@erased.invalid"}


async def test_the_erased_user_is_in_no_cohort(session: AsyncSession, database: Database, person: Marked) -> None:
    await erase(database, person)

    memberships = select(func.count()).where(CohortMemberRow.user_id == person.id)
    assert await session.scalar(memberships) == 0


async def test_an_erasure_by_an_earlier_release_deletes_what_that_release_does_not_know(
    session: AsyncSession, database: Database, person: Marked
) -> None:
    await begin(database, person)

    async with database.transaction() as uow:
        await uow.erasures.finish(person.id)  # without `forget_account`, which knows the new columns
        await uow.commit()

    reset = ("name", "external_id", "language", "time_factor", "extra_minutes")
    assert [await column(session, person, name) for name in reset] == [None, None, None, 1, 0]
    for row in (CohortMemberRow, AccountLinkRow):
        assert await session.scalar(select(func.count()).where(row.user_id == person.id)) == 0


async def test_open_assessments_end_with_an_audit_row(
    session: AsyncSession, database: Database, person: Marked
) -> None:
    other = await an_assessment(session, user_id=person.id)
    await erase(database, person)

    rows = select(AuditLogRow.action, AuditLogRow.details["reason"].astext).where(
        AuditLogRow.resource_id.in_([other.id, person.assessment_id]), AuditLogRow.details["reason"].astext == "erased"
    )
    assert {tuple(row) for row in await session.execute(rows)} == {
        ("assessment.failed", "erased"),
        ("assessment.healing_stopped", "erased"),
    }
    statuses = select(AssessmentRow.status, AssessmentRow.healing).where(AssessmentRow.user_id == person.id)
    assert {tuple(row) for row in await session.execute(statuses)} == {("failed", "none"), ("completed", "stopped")}


async def test_pending_deliveries_are_cancelled(session: AsyncSession, database: Database, person: Marked) -> None:
    await erase(database, person)

    deliveries = select(WebhookDeliveryRow.status).where(WebhookDeliveryRow.organization_id == person.organization_id)
    assert list(await session.scalars(deliveries)) == ["cancelled"]


async def test_a_response_stored_for_another_user_no_longer_names_the_erased_one(
    session: AsyncSession, database: Database, person: Marked
) -> None:
    await erase(database, person)

    kept = select(IdempotencyKeyRow.response_status, IdempotencyKeyRow.response_body).where(
        IdempotencyKeyRow.user_id == person.admin_id
    )
    status, body = (await session.execute(kept)).one()
    assert (status, json.loads(body)["error_code"]) == (410, Erased.code)


async def test_the_audit_trail_has_the_start_with_its_actor_and_the_end(
    session: AsyncSession, database: Database, person: Marked
) -> None:
    await erase(database, person)

    rows = select(AuditLogRow.action, AuditLogRow.actor_id).where(AuditLogRow.resource_id == person.id)
    assert [tuple(row) for row in await session.execute(rows.order_by(AuditLogRow.seq))] == [
        ("user.erasing", person.admin_id),
        ("user.erased", None),
    ]


async def test_erasing_again_changes_nothing(session: AsyncSession, database: Database, person: Marked) -> None:
    await erase(database, person)
    before = await stored(session)

    async with database.transaction() as uow:
        page = await uow.erasures.assessments(person.id, after=None, limit=10)
        await uow.erasures.forget_assessments(page)
        await uow.erasures.forget_account(person.id)
        await uow.erasures.finish(person.id)
        await uow.commit()

    assert await stored(session) == before


async def test_beginning_twice_has_one_effect(session: AsyncSession, database: Database, person: Marked) -> None:
    first = await begin(database, person)
    version = await column(session, person, "token_version")

    assert await begin(database, person) == first

    assert await column(session, person, "token_version") == version == 1
    begun = select(func.count()).where(AuditLogRow.resource_id == person.id, AuditLogRow.action == "user.erasing")
    assert await session.scalar(begun) == 1


async def test_unfinished_erasures_are_listed(database: Database, person: Marked) -> None:
    erasure = await begin(database, person)
    async with database.transaction() as uow:
        assert await uow.erasures.unfinished(after=None, limit=10) == (erasure,)
        assert await uow.erasures.unfinished(after=person.id, limit=10) == ()
        await uow.erasures.finish(person.id)
        assert await uow.erasures.unfinished(after=None, limit=10) == ()


@pytest.mark.parametrize("whose", ["elsewhere", "nobody", "erased"])
async def test_only_the_organizations_people_can_be_erased(
    session: AsyncSession, database: Database, person: Marked, whose: str
) -> None:
    ids = {
        "elsewhere": await a_user(session),
        "nobody": uuid4(),
        "erased": await a_user(session, person.organization_id, status="erased"),
    }
    async with database.transaction() as uow:
        with pytest.raises(NotFound):
            await uow.erasures.begin(ids[whose], **person.viewer)


async def test_the_last_admin_is_not_erased(session: AsyncSession, database: Database) -> None:
    organization_id = await an_organization(session)
    admin_id = await a_user(session, organization_id, role="admin")
    async with database.transaction() as uow:
        with pytest.raises(Conflict):
            await uow.erasures.begin(admin_id, organization_id=organization_id, actor_id=admin_id, actor_role="admin")


async def test_an_advisors_comments_about_others_are_deleted_with_the_advisor(
    session: AsyncSession, database: Database, person: Marked
) -> None:
    advisor_id = await a_user(session, person.organization_id, role="advisor")
    await session.execute(text("UPDATE recommendation_feedback SET submitted_by = :advisor"), {"advisor": advisor_id})
    async with database.transaction() as uow:
        await uow.erasures.begin(advisor_id, **person.viewer)
        await uow.erasures.forget_account(advisor_id)
        await uow.commit()

    left = with_marker(await stored(session), MARKER)
    assert "recommendation_feedback" not in left
    assert {"essay_scores", "essay_reviews", "result_revisions"} <= left.keys()  # the learner's


async def test_a_user_being_erased_cannot_write_about_others(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession], person: Marked
) -> None:
    advisor = Actor(id=await a_user(session, person.organization_id, role="advisor", status="erasing"), role="advisor")
    viewer = AccessScope(organization_id=person.organization_id)
    recommendation_id = await session.scalar(text("SELECT id FROM recommendations"))
    feedback = NewFeedback(relevance_score=3, acceptance_status=None, comments="late", credential_id=None)
    assert isinstance(recommendation_id, UUID)
    async with RequestUnitOfWork(session_factory) as uow:
        with pytest.raises(Erased):
            await FeedbackService(uow).give(recommendation_id, viewer, advisor, feedback)
        judgement = Judgement(levels=None, comment="late")
        with pytest.raises(Erased):
            await ReviewService(uow).review(person.assessment_id, uuid4(), viewer, advisor, judgement)


async def test_events_about_an_erased_user_are_not_redelivered(
    session: AsyncSession, database: Database, person: Marked
) -> None:
    await erase(database, person)
    admin = Actor(id=person.admin_id, role="admin")
    viewer = AccessScope(organization_id=person.organization_id)
    delivery_id, endpoint_id = (await session.execute(text("SELECT id, endpoint_id FROM webhook_deliveries"))).one()

    with pytest.raises(Conflict):
        await Redeliveries(session).redeliver(delivery_id, viewer, admin)
    recovered = await Redeliveries(session).recover(
        endpoint_id, viewer, admin, since=datetime(2026, 1, 1, tzinfo=UTC), until=None
    )

    assert recovered.deliveries == ()


async def test_every_table_about_users_is_exported() -> None:
    """A new table fails this test until it is exported and its erasure is decided.

    Four tables have no foreign key to users: the audit trail, those whose `user_id` may be an API key's, and cohorts.
    """
    known = {table_of(row).name for row in PERSONAL_DATA}
    reached = {UserRow.__tablename__}
    while True:
        more = {
            table.name
            for table in UserRow.metadata.tables.values()
            if any(key.column.table.name in reached for key in table.foreign_keys)
        }
        if more <= reached:
            break
        reached |= more
    without_key = {row.__tablename__ for row in (AuditLogRow, CohortRow, DeniedRequestsRow, IdempotencyKeyRow)}
    assert reached | without_key == known


async def test_an_erased_result_is_no_longer_held(session: AsyncSession, database: Database, person: Marked) -> None:
    await session.execute(update(AssessmentRow).values(released_revision=0))

    await erase(database, person)

    held = select(func.count()).select_from(AssessmentRow).where(AssessmentRow.released_revision.is_not(None))
    assert await session.scalar(held) == 0


async def test_a_restored_user_is_marked_for_erasure_again(
    session: AsyncSession, database: Database, person: Marked
) -> None:
    await erase(database, person)
    await session.execute(update(UserRow).where(UserRow.id == person.id).values(status="active", email="back@x.org"))

    async with database.transaction() as uow:
        erasure = Erasure(id=person.id, organization_id=person.organization_id)
        assert await uow.erasures.unfinished(after=None, limit=10) == ()
        await uow.erasures.begin(person.id, **person.viewer)
        assert await uow.erasures.unfinished(after=None, limit=10) == (erasure,)
