"""Insert rows for tests. Columns that the test does not set get plausible, unique values."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import (
    Answer,
    EssayRubric,
    Item,
    MultipleChoiceRubric,
    NumberRubric,
    SingleChoiceRubric,
)
from domain.assessments.results import Result
from domain.grading.scores import EssayScore, RuleScore
from domain.ids import derived_id
from domain.recommending.recommendations import Blend, Evidence, RecommendedItem, Trace
from domain.recommending.skills import SkillGap
from persistence.repositories.assessments import SqlAssessments
from persistence.repositories.documents import encode_answer
from persistence.tables import (
    AssessmentRow,
    CredentialRow,
    EmbeddingArtifactRow,
    OrganizationRow,
    QuestionRow,
    QuestionSnapshotRow,
    ResponseRow,
    UserRow,
)

ROLE_KEY = "data-analyst"
ROLE_ID = derived_id("role", ROLE_KEY)


async def an_organization(session: AsyncSession) -> UUID:
    organization_id = uuid4()
    await session.execute(insert(OrganizationRow).values(id=organization_id, name=f"Partner {organization_id}"))
    return organization_id


async def a_user(session: AsyncSession, organization_id: UUID | None = None, **columns: Any) -> UUID:
    """Insert a student, or a user with other `columns`. Without `organization_id`, insert an organization too."""
    user_id = uuid4()
    organization_id = organization_id or await an_organization(session)
    values = {"organization_id": organization_id, "email": f"{user_id}@example.org", "role": "student"} | columns
    await session.execute(insert(UserRow).values(id=user_id, **values))
    return user_id


async def an_assessment(
    session: AsyncSession, *, user_id: UUID | None = None, answered: bool = True, items: int = 6, **columns: Any
) -> Assessment:
    """Insert an assessment that expires in an hour, with the role's first questions and, by default, answers."""
    user_id = user_id or await a_user(session)
    organization_id = await session.scalar(select(UserRow.organization_id).where(UserRow.id == user_id))
    assessment_id = uuid4()
    values = {
        "user_id": user_id,
        "organization_id": organization_id,
        "role_id": ROLE_ID,
        "status": "in_progress",
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
    }
    await session.execute(insert(AssessmentRow).values(id=assessment_id, **(values | columns)))
    await _snapshots(session, assessment_id, items)
    if answered:
        await answer_all(session, assessment_id)
    return await SqlAssessments(session).get(assessment_id)


async def _snapshots(session: AsyncSession, assessment_id: UUID, items: int) -> None:
    copied = ("prompt", "rubric", "question_type", "kind", "choices", "answer_format", "weight", "version")
    columns = QuestionRow.__table__.c
    questions = (
        select(columns.id, *(columns[name] for name in copied))
        .where(columns.role_id == ROLE_ID)
        .order_by(columns.kind == "text", columns.position)
    )
    found = (await session.execute(questions)).mappings().all()
    rows = [
        {
            "id": uuid4(),
            "assessment_id": assessment_id,
            "question_id": row["id"],
            "position": position,
            **{name: row[name] for name in copied},
        }
        # The last two items are always essays.
        for position, row in enumerate([*found[: items - 2], *found[-2:]], start=1)
    ]
    await session.execute(insert(QuestionSnapshotRow), rows)


async def answer_all(session: AsyncSession, assessment_id: UUID) -> None:
    rows = [
        {
            "id": uuid4(),
            "assessment_id": assessment_id,
            "question_snapshot_id": item.snapshot_id,
            "answer": encode_answer(good_answer(item)),
        }
        for item in await SqlAssessments(session).items(assessment_id)
    ]
    await session.execute(insert(ResponseRow), rows)


def good_answer(item: Item) -> Answer:
    """Return an answer with full points; for an essay, the first anchor's text."""
    match item.question.rubric:
        case SingleChoiceRubric(correct=correct) | MultipleChoiceRubric(correct=correct):
            return correct
        case NumberRubric(value=value):
            return value
        case EssayRubric(anchors=anchors):
            return anchors[0].text
        case scale:
            return next(iter(scale.evidence))


async def some_credentials(session: AsyncSession, number: int = 3) -> list[UUID]:
    """Insert vectors for the first active credentials and return the credentials' ids."""
    found = await session.execute(
        select(CredentialRow.id, CredentialRow.text_hash).order_by(CredentialRow.key).limit(number)
    )
    credentials = found.all()
    rows = [
        {
            "id": artifact_id(row.id),
            "entity_type": "credential",
            "entity_id": row.id,
            "provider": "sentence-transformers",
            "model": "test",
            "text_hash": row.text_hash,
            "vector": [1.0, *[0.0] * 383],
        }
        for row in credentials
    ]
    await session.execute(insert(EmbeddingArtifactRow), rows)
    return [row.id for row in credentials]


def artifact_id(credential_id: UUID) -> UUID:
    """Return the id of the vector that `some_credentials` inserts."""
    return derived_id("test-artifact", credential_id)


def a_result(items: Sequence[Item], credentials: Sequence[UUID], **essay: Any) -> Result:
    """Build a result with half of the points, one gap, one trace and one recommended item per credential."""
    half = Decimal("0.5")
    return Result(
        rule_scores=tuple(
            RuleScore(
                snapshot_id=item.snapshot_id,
                points=half,
                max_points=Decimal(1),
                fraction=half,
                explanation="Half of it is right.",
                rule="single_choice",
            )
            for item in items
            if not isinstance(item.question.rubric, EssayRubric)
        ),
        essay_scores=tuple(
            an_essay_score(item.snapshot_id, **essay) for item in items if isinstance(item.question.rubric, EssayRubric)
        ),
        evidence=Evidence(
            gaps=(a_gap("SQL querying"),),
            traces=tuple(a_trace(credential_id) for credential_id in credentials),
            latency_ms=12,
            embedding_provider="sentence-transformers",
            embedding_model="test",
        ),
        blend=Blend(
            items=tuple(
                a_recommended_item(credential_id, position)
                for position, credential_id in enumerate(credentials, start=1)
            ),
            weights={"coverage": 0.6, "similarity": 0.4},
            summary="One gap.",
        ),
    )


def an_essay_score(snapshot_id: UUID, **changes: Any) -> EssayScore:
    values: dict[str, Any] = {
        "points": Decimal(2),
        "max_points": Decimal(4),
        "fraction": Decimal("0.5"),
        "ratings": (),
        "feedback": "Halfway.",
        "model": "local-test",
        "prompt_version": "none",
        "rubric_version": "v1",
        "confidence": Decimal("0.8"),
        "needs_review": False,
        "latency_ms": 40,
    }
    return EssayScore(snapshot_id=snapshot_id, **(values | changes))


def a_gap(skill: str) -> SkillGap:
    return SkillGap(
        skill=skill,
        description="What it means.",
        score=Decimal("0.5"),
        target=Decimal("0.8"),
        gap=Decimal("0.3"),
        importance=Decimal(1),
        evidence=Decimal(3),
    )


def a_trace(credential_id: UUID) -> Trace:
    return Trace(
        credential_id=credential_id,
        artifact_id=artifact_id(credential_id),
        skill="SQL querying",
        source_uri="https://catalog.example.org/credentials/one",
        snippet="What a learner does.",
        similarity=0.71,
    )


def a_recommended_item(credential_id: UUID, position: int) -> RecommendedItem:
    return RecommendedItem(
        credential_id=credential_id,
        title=f"Credential {position}",
        position=position,
        confidence=0.62,
        rationale="It closes the gap.",
        skills=("SQL querying",),
        features={"coverage": 0.5, "similarity": 0.71},
    )
