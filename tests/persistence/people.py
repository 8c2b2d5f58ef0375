"""Create a user with a row in every table about users, and a marker text in every field that they can write."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.steps import submission_jobs
from domain.database import Database
from domain.ids import derived_id
from persistence.tables import (
    AccountLinkRow,
    AnswerShingleRow,
    AppealRow,
    AssessmentRow,
    AsyncJobRow,
    CatalogImportRow,
    CohortMemberRow,
    CohortRow,
    DeniedRequestsRow,
    EssayReviewRow,
    EssayScoreRow,
    FeedbackRow,
    FlaggedQuestionRow,
    GradingExamplesRow,
    IdempotencyKeyRow,
    LearnerCredentialRow,
    ModelAnswerRow,
    QuestionSnapshotRow,
    RecommendationItemRow,
    RecommendationRow,
    RefreshTokenRow,
    RescoreDifferenceRow,
    ResponseRow,
    ReviewItemRow,
    RuleScoreRow,
    UserRow,
    WebhookAttemptRow,
    WebhookDeliveryRow,
    WebhookEventRow,
    WebSessionRow,
)
from tests.support.builders import ROLE_ID, a_result, a_user, an_assessment, an_organization
from tests.support.partners import an_endpoint
from tests.support.rescores import a_rescore

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Marked:
    """The ids of a marked user. `admin_id` created the account, and the response to that is stored for replay."""

    id: UUID
    organization_id: UUID
    admin_id: UUID
    assessment_id: UUID
    marker: str

    @property
    def viewer(self) -> dict[str, Any]:
        return {"organization_id": self.organization_id, "actor_id": self.admin_id, "actor_role": "admin"}


async def a_marked_person(session: AsyncSession, database: Database, credentials: list[UUID], marker: str) -> Marked:
    """Create a student with a degraded and reviewed result, with feedback and with a pending delivery."""
    organization_id = await an_organization(session)
    admin_id = await a_user(session, organization_id, role="admin")
    email = f"{marker}-{uuid4()}@example.org"
    personal = {
        "name": marker,
        "external_id": marker,
        "profile": {"name": marker},
        "language": "de",
        "time_factor": 2,
        "extra_minutes": 30,
    }
    user_id = await a_user(session, organization_id, email=email, password_hash=marker, **personal)
    await an_endpoint(session, organization_id=organization_id)
    assessment = await an_assessment(
        session, user_id=user_id, status="awaiting_async", submitted_at=NOW, details={"note": marker}
    )
    await session.commit()  # visible to the unit of work; the fixtures' sessions only end a savepoint
    async with database.transaction() as uow:
        locked, now = await uow.assessments.lock(assessment.id)
        items = await uow.assessments.items(assessment.id)
        await uow.jobs.enqueue(submission_jobs(locked, items))
        await uow.results.publish(locked, now, a_result(items, credentials, feedback=marker))
        await uow.commit()
    person = Marked(user_id, organization_id, admin_id, assessment.id, marker)
    await _mark_assessment(session, person)
    await _mark_account(session, person, email, credentials[0])
    return person


async def _mark_assessment(session: AsyncSession, person: Marked) -> None:
    mine: dict[str, Any] = {"assessment_id": person.assessment_id}
    snapshot_id = await session.scalar(
        select(QuestionSnapshotRow.id).where(
            QuestionSnapshotRow.assessment_id == person.assessment_id, QuestionSnapshotRow.kind == "text"
        )
    )
    assert snapshot_id
    of = {**mine, "question_snapshot_id": snapshot_id}
    recommendation_id = derived_id("recommendation", person.assessment_id)
    for row, columns in (
        (ResponseRow, {"answer": person.marker}),
        (AsyncJobRow, {"payload": {"quote": person.marker}}),
        (RuleScoreRow, {"explanation": person.marker}),
        (EssayScoreRow, {"response_payload": {"rationale": person.marker}}),
        (RecommendationRow, {"summary": person.marker}),
        (WebhookEventRow, {"body": person.marker.encode(), "payload": {"data": person.marker}}),
    ):
        await session.execute(
            update(row).where(row.assessment_id == person.assessment_id).values(**columns),
            execution_options={"synchronize_session": False},
        )
    await session.execute(
        update(RecommendationItemRow)
        .where(RecommendationItemRow.recommendation_id == recommendation_id)
        .values(rationale=person.marker)
    )
    await session.execute(update(AssessmentRow).where(AssessmentRow.id == person.assessment_id).values(healing="due"))
    await session.execute(
        insert(ModelAnswerRow).values(
            id=uuid4(),
            **of,
            **dict.fromkeys(("rubric_hash", "prompt_hash", "model"), "m"),
            **dict.fromkeys(("sample", "round", "epoch"), 0),
            variant="full",
            status="answered",
            raw_reply=person.marker.encode(),
            request_id=person.marker,
            answered_at=NOW,
        )
    )
    await session.execute(
        insert(GradingExamplesRow).values(id=uuid4(), assessment_id=person.assessment_id, review_ids=[uuid4()])
    )
    await session.execute(
        insert(EssayReviewRow).values(
            id=uuid4(),
            **of,
            reviewer_id=person.admin_id,
            levels={"a": "b"},
            comment=person.marker,
            published_revision=1,
        )
    )
    await session.execute(
        upsert(ReviewItemRow)
        .values(
            **of,
            organization_id=person.organization_id,
            user_id=person.id,
            role_id=ROLE_ID,
            question_id=uuid4(),
            reasons=["audit_sample"],
            waiting=True,
            revision=1,
            submitted_at=NOW,
        )
        .on_conflict_do_nothing()  # the publication has put the essay into the audit sample
    )
    await session.execute(insert(AnswerShingleRow).values(shingle=7, question_snapshot_id=snapshot_id))
    await session.execute(insert(FlaggedQuestionRow).values(question_snapshot_id=snapshot_id))
    await session.execute(
        insert(WebSessionRow).values(
            id=uuid4(), user_id=person.id, token_hash=uuid4().hex, token_version=0, expires_at=NOW + timedelta(hours=1)
        )
    )
    await session.execute(
        insert(AccountLinkRow).values(
            id=uuid4(),
            user_id=person.id,
            token_version=0,
            token_hashes=[uuid4().hex],
            mail={"subject": person.marker, "text": person.marker},
            mail_status="pending",
            expires_at=NOW + timedelta(hours=1),
        )
    )
    await session.execute(
        insert(FeedbackRow).values(
            id=uuid4(),
            recommendation_id=recommendation_id,
            revision=1,
            submitted_by=person.id,
            submitted_by_role="student",
            relevance_score=4,
            comments=person.marker,
        )
    )
    await session.execute(
        insert(AppealRow).values(
            id=uuid4(),
            **of,
            organization_id=person.organization_id,
            user_id=person.id,
            role_id=ROLE_ID,
            revision=1,
            state="rejected",
            reason=person.marker,
            message=person.marker,
            answered_by=person.admin_id,
            **dict.fromkeys(("reminder_due_at", "answer_due_at", "closed_at"), NOW),
        )
    )
    rescore_id = await a_rescore(
        session, person.organization_id, role_id=ROLE_ID, status="computed", requested_by=person.id
    )
    await session.execute(
        insert(RescoreDifferenceRow).values(
            **mine,
            rescore_id=rescore_id,
            **dict.fromkeys(("run", "revision"), 1),
            status="applied",
            outcome="changed",
            proposal={"quote": person.marker},
        )
    )
    delivery_id = await session.scalar(
        select(WebhookDeliveryRow.id)
        .join(WebhookEventRow, WebhookEventRow.id == WebhookDeliveryRow.event_id)
        .where(WebhookEventRow.assessment_id == person.assessment_id)
    )
    await session.execute(
        insert(WebhookAttemptRow).values(
            id=uuid4(),
            delivery_id=delivery_id,
            n=1,
            outcome="refused",
            response_excerpt=f"I do not know {person.marker}",
            latency_ms=1,
        )
    )


async def _mark_account(session: AsyncSession, person: Marked, email: str, credential_id: UUID) -> None:
    user = {"user_id": person.id}
    await session.execute(
        insert(RefreshTokenRow).values(
            id=uuid4(), **user, family=uuid4(), token_hash=f"{person.marker}-{uuid4().hex}"[:64], expires_at=NOW
        )
    )
    await session.execute(
        insert(LearnerCredentialRow).values(**user, credential_id=credential_id, earned_at=date(2026, 1, 1))
    )
    cohort_id = uuid4()
    await session.execute(
        insert(CohortRow).values(id=cohort_id, organization_id=person.organization_id, name="Spring 2026")
    )
    await session.execute(insert(CohortMemberRow).values(**user, cohort_id=cohort_id))
    await session.execute(insert(DeniedRequestsRow).values(**user, hour=NOW, count=3))
    await session.execute(
        insert(CatalogImportRow).values(id=uuid4(), requested_by=person.id, status="succeeded", row_count=0)
    )
    for user_id, key, body in (
        (person.id, person.marker, person.marker),
        (person.admin_id, "k", f'{{"email":"{email}"}}'),
    ):
        await session.execute(
            insert(IdempotencyKeyRow).values(
                id=uuid4(),
                organization_id=person.organization_id,
                user_id=user_id,
                method="POST",
                route="/api/v1/users",
                key=key,
                request_hash="h",
                response_status=201,
                response_body=body.encode(),
                expires_at=NOW + timedelta(hours=24),
            )
        )


async def column(session: AsyncSession, person: Marked, name: str) -> Any:
    """Return a column of the user's row."""
    return await session.scalar(select(getattr(UserRow, name)).where(UserRow.id == person.id))
