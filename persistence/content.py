"""Brings the catalogue to what the content files say: versions are added, never overwritten, nothing is deleted."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.identity import content_hash
from domain.roles import Credential, Role, credential_text
from persistence.bulk import insert_rows
from persistence.content_entries import version_of
from persistence.content_files import QuestionContent, read_content
from persistence.documents import encode
from persistence.tables import ContentVersionRow, CredentialRow, QuestionRow, RoleRow

LOCK: Final = 7_203_118_455_022
"""Any number that nothing else in this database locks."""

SOURCE: Final = "content"
"""Marks the credentials that come from the files; imported ones are not theirs to withdraw."""

log = structlog.get_logger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    added: int
    changed: int
    unchanged: int
    withdrawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentReport:
    roles: Counts
    questions: Counts
    credentials: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """`tracked` are the columns that tell whether a current row is as the files want it."""

    name: str
    table: type[RoleRow | QuestionRow | CredentialRow]
    tracked: tuple[str, ...] = ("version", "active")
    owned: ColumnElement[bool] = field(default_factory=true)


ROLE: Final = _Kind(name="role", table=RoleRow)
QUESTION: Final = _Kind(name="question", table=QuestionRow, tracked=("version", "active", "position"))
CREDENTIAL: Final = _Kind(
    name="credential", table=CredentialRow, owned=CredentialRow.details["source"].astext == SOURCE
)


async def load_content(engine: AsyncEngine, directory: Path) -> ContentReport:
    """Reads the files and writes what differs, in one transaction; loading the same again writes nothing.

    Raises:
        InvalidInput: something in the files is wrong; nothing was changed.
    """
    content = read_content(directory)
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        report = ContentReport(
            roles=await _sync(session, ROLE, [_role(role) for role in content.roles]),
            questions=await _sync(session, QUESTION, [_question(found) for found in content.questions]),
            credentials=await _sync(session, CREDENTIAL, [_credential(found) for found in content.credentials]),
        )
    log.info("content_loaded", **encode(report))
    return report


async def _sync(session: AsyncSession, kind: _Kind, wanted: list[Row]) -> Counts:
    """Makes the kind's current rows what is wanted and keeps every version."""
    columns = kind.table.__table__.c
    tracked = select(columns.id, *(columns[name] for name in kind.tracked)).where(kind.owned)
    before = {row.id: tuple(row)[1:] for row in await session.execute(tracked)}
    differing = [row for row in wanted if before.get(row["id"]) != tuple(row[name] for name in kind.tracked)]
    await insert_rows(
        session,
        {kind.table: differing, ContentVersionRow: [_version(kind, row) for row in differing]},
        replace={kind.table: ("id",)},
        skip_existing=True,
    )
    gone = before.keys() - {row["id"] for row in wanted}
    withdrawn = await session.execute(
        update(kind.table).where(columns.id.in_(gone), columns.active).values(active=False).returning(columns.id)
    )
    added = sum(row["id"] not in before for row in differing)
    return Counts(
        added=added,
        changed=len(differing) - added,
        unchanged=len(wanted) - len(differing),
        withdrawn=len(withdrawn.all()),
    )


def _version(kind: _Kind, row: Row) -> Row:
    """The whole row, as it stands from now on."""
    document = {name: value for name, value in row.items() if name not in {"active", "updated_at"}}
    return {"entity_type": kind.name, "entity_id": row["id"], "version": row["version"], "document": document}


def _role(role: Role) -> Row:
    return {
        "id": role.id,
        "key": role.key,
        "name": role.name,
        "description": role.description,
        "skills_profile": encode(role.skills),
        "prerequisites": role.prerequisites,
        **_current(version_of(role)),
    }


def _question(found: QuestionContent) -> Row:
    question = found.question
    return {
        "id": question.id,
        "key": found.key,
        "role_id": found.role.id,
        "position": found.position,
        "question_type": question.kind.question_type,
        "kind": question.kind,
        "prompt": question.prompt,
        "choices": list(question.answer_format.choices) or None,
        "answer_format": encode(question.answer_format),
        "rubric": encode(question.rubric),
        "weight": question.weight,
        **_current(question.version),
    }


def _credential(credential: Credential) -> Row:
    return {
        "id": credential.id,
        "key": credential.key,
        "title": credential.title,
        "description": credential.description,
        "skills": credential.skills,
        "level": credential.level,
        "hours": credential.hours,
        "provider": credential.provider,
        "source_uri": credential.source_uri,
        "prerequisites": credential.prerequisites,
        "text_hash": content_hash(credential_text(credential)),
        "metadata": {"source": SOURCE},
        **_current(credential.version),
    }


def _current(version: str) -> Row:
    return {"version": version, "active": True, "updated_at": datetime.now(UTC)}
