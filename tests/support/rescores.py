"""Arrange roles, changed questions, assessments and re-scores for tests."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pydantic_core import from_json, to_json
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from domain.ids import content_hash
from persistence.repositories.assessments import SqlAssessments
from persistence.tables import ContentVersionRow, QuestionRow, RescoreRow, ResponseRow
from tests.support.builders import ROLE_ID, a_user, an_assessment, answer_all

_COPY_ROLE = text("""
INSERT INTO role_catalog (id, key, name, description, skills_profile, prerequisites, version)
SELECT :id, :key, :key, description, skills_profile, '{}', version FROM role_catalog WHERE id = :role_id
""")
# One question of each kind.
_COPY_QUESTIONS = text("""
INSERT INTO questions (
  id, key, role_id, position, question_type, kind, prompt, choices, answer_format, rubric, weight, version)
SELECT gen_random_uuid(), :key || '-' || kind || n, :id, position, question_type, kind, prompt, choices, answer_format,
  rubric, weight, version
FROM (SELECT *, row_number() OVER (PARTITION BY kind ORDER BY position) AS n FROM questions WHERE role_id = :role_id) q
WHERE n = 1
""")
_SNAPSHOTS = text("""
INSERT INTO assessment_question_snapshots (id, assessment_id, question_id, position, prompt, rubric, question_type,
  kind, choices, answer_format, weight, version)
SELECT gen_random_uuid(), :assessment_id, id, position, prompt, rubric, question_type, kind, choices, answer_format,
  weight, version
FROM questions WHERE role_id = :role_id
""")


@dataclass(frozen=True)
class AskedRole:
    """A role of its own, so that a test may change its questions. `questions` are their ids by kind."""

    id: UUID
    key: str
    questions: dict[str, UUID]


async def a_role(session: AsyncSession) -> AskedRole:
    role_id, key = uuid4(), f"role-{uuid4().hex[:8]}"
    names = {"id": role_id, "key": key, "role_id": ROLE_ID}
    await session.execute(_COPY_ROLE, names)
    await session.execute(_COPY_QUESTIONS, names)
    found = await session.execute(select(QuestionRow.kind, QuestionRow.id).where(QuestionRow.role_id == role_id))
    questions = {row.kind: row.id for row in found}
    for question_id in questions.values():
        await _store_version(session, question_id)
    return AskedRole(role_id, key, questions)


async def change_question(session: AsyncSession, question_id: UUID, **columns: Any) -> str:
    """Change a question, as a load of corrected content does. Return the new version."""
    version = content_hash([str(question_id), uuid4().hex])
    await session.execute(update(QuestionRow).where(QuestionRow.id == question_id).values(version=version, **columns))
    await _store_version(session, question_id)
    return version


async def wrong_choice(session: AsyncSession, question_id: UUID) -> str:
    """Make another choice the right one. Return the new version."""
    row = (await session.execute(select(QuestionRow.rubric, QuestionRow.choices).filter_by(id=question_id))).one()
    other = next(choice for choice in row.choices if choice != row.rubric["correct"])
    return await change_question(session, question_id, rubric={**row.rubric, "correct": other})


async def an_answered_assessment(
    session: AsyncSession, role: AskedRole, organization_id: UUID | None = None
) -> Assessment:
    """Insert an assessment with the role's questions and full answers."""
    user_id = await a_user(session, organization_id)
    bare = await an_assessment(session, user_id=user_id, answered=False, role_id=role.id)
    await session.execute(text("DELETE FROM assessment_question_snapshots WHERE assessment_id = :id"), {"id": bare.id})
    await session.execute(_SNAPSHOTS, {"assessment_id": bare.id, "role_id": role.id})
    await answer_all(session, bare.id)
    return await SqlAssessments(session).get(bare.id)


async def set_answer(session: AsyncSession, assessment_id: UUID, kind: str, answer: Any) -> None:
    items = await SqlAssessments(session).items(assessment_id)
    snapshot = next(item.snapshot_id for item in items if item.question.kind == kind)
    await session.execute(update(ResponseRow).filter_by(question_snapshot_id=snapshot).values(answer=answer))


async def a_rescore(session: AsyncSession, organization_id: UUID, **columns: Any) -> UUID:
    rescore_id = uuid4()
    values = {"reason": "A corrected key", "scope": "rules", "status": "queued", "versions": []} | columns
    await session.execute(insert(RescoreRow).values(id=rescore_id, organization_id=organization_id, **values))
    return rescore_id


async def _store_version(session: AsyncSession, question_id: UUID) -> None:
    columns = QuestionRow.__table__.c
    row = (await session.execute(select(*columns).where(columns.id == question_id))).mappings().one()
    document = {name: value for name, value in row.items() if name not in {"active", "created_at", "updated_at"}}
    stored = {"entity_type": "question", "entity_id": question_id, "version": row["version"]}
    await session.execute(insert(ContentVersionRow).values(**stored, document=from_json(to_json(document))))
