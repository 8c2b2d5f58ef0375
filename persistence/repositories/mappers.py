"""Convert selected rows (columns by name) to domain values."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import Row, RowMapping

from domain.assessments.attempts import AttemptPolicy
from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.questions import Answer, Question, QuestionKind
from domain.errors import CorruptData
from domain.recommending.roles import Credential, CredentialLevel, Role, SkillTarget
from persistence.repositories.documents import decode, decode_answer
from persistence.tables import AssessmentRow, CredentialRow, RoleRow
from persistence.tables.base import table_of

AnyRow: TypeAlias = Row[*tuple[Any, ...]]

ASSESSMENT = (
    "id",
    "user_id",
    "organization_id",
    "role_id",
    "status",
    "run",
    "revision",
    "expires_at",
    "claimed_at",
    "completed_at",
    "failure_reason",
    "degraded",
    "healing",
    "released_revision",
    "released_at",
)
ASSESSMENT_COLUMNS = tuple(table_of(AssessmentRow).c[name] for name in ASSESSMENT)

CREDENTIAL_COLUMNS = tuple(
    table_of(CredentialRow).c[name]
    for name in (
        "id",
        "key",
        "title",
        "description",
        "skills",
        "level",
        "hours",
        "provider",
        "source_uri",
        "prerequisites",
        "version",
        "active",
    )
)

POLICY = ("reveal", "attempts", "cool_down_hours")
ROLE_COLUMNS = tuple(
    table_of(RoleRow).c[name]
    for name in ("id", "key", "name", "description", "skills_profile", "prerequisites", *POLICY)
)


def assessment(row: RowMapping) -> Assessment:
    """Convert a row that has at least ASSESSMENT_COLUMNS."""
    values: dict[str, Any] = {name: row[name] for name in ASSESSMENT}
    values |= {"status": AssessmentStatus(row["status"]), "healing": Healing(row["healing"])}
    return Assessment(**values)


def question(row: AnyRow) -> Question:
    """Convert a snapshot's columns."""
    values = {
        "id": row.question_id,
        "prompt": row.prompt,
        "answer_format": row.answer_format,
        "rubric": row.rubric,
        "weight": row.weight,
        "version": row.version,
    }
    return decode(Question, values)


def answer(row: AnyRow) -> Answer | None:
    """Convert the columns `id`, `kind` and `answer`. SQL NULL is no answer; no question accepts null as an answer."""
    try:
        return None if row.answer is None else decode_answer(QuestionKind(row.kind), row.answer)
    except CorruptData as error:
        raise CorruptData(f"The answer to item {row.id}: {error.message}") from None


def credential(row: RowMapping) -> Credential:
    """Convert a row that has at least CREDENTIAL_COLUMNS."""
    values: dict[str, Any] = {column.key: row[column.key] for column in CREDENTIAL_COLUMNS}
    values |= {
        "skills": tuple(row["skills"]),
        "prerequisites": tuple(row["prerequisites"]),
        "level": CredentialLevel(row["level"]),
    }
    return Credential(**values)


def role(row: AnyRow) -> Role:
    """Convert a row that has ROLE_COLUMNS."""
    return _role({column.key: getattr(row, column.key) for column in ROLE_COLUMNS})


def role_of_assessment(row: RowMapping) -> Role:
    """Convert a row that has the role's columns with the prefix `role_`."""
    return _role({column.key: row[f"role_{column.key}"] for column in ROLE_COLUMNS})


def _role(values: Mapping[str, Any]) -> Role:
    return Role(
        **{name: values[name] for name in ("id", "key", "name", "description")},
        skills=decode(tuple[SkillTarget, ...], values["skills_profile"]),
        prerequisites=tuple(values["prerequisites"]),
        attempt_policy=decode(AttemptPolicy, {name: values[name] for name in POLICY}),
    )
