"""Load content files into the catalogue: add new versions, overwrite none, delete nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import ColumnElement, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.recommending.roles import Credential, Role
from persistence.content.entries import version_of
from persistence.content.files import QuestionContent, read_content
from persistence.content.rows import FILES, IMPORT, LOCK, Row, credential_row, current, write
from persistence.repositories.documents import encode
from persistence.tables import CredentialRow, QuestionRow, RoleRow

log = structlog.get_logger(__name__)


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
    """A kind of content. A row is written when one of its `tracked` columns differs from the files."""

    name: str
    table: type[RoleRow | QuestionRow | CredentialRow]
    tracked: tuple[str, ...] = ("version", "active")
    owned: ColumnElement[bool] = field(default_factory=true)


ROLE: Final = _Kind(name="role", table=RoleRow)
QUESTION: Final = _Kind(name="question", table=QuestionRow, tracked=("version", "active", "position"))
CREDENTIAL: Final = _Kind(name="credential", table=CredentialRow, owned=CredentialRow.details["source"].astext == FILES)


async def load_content(engine: AsyncEngine, directory: Path) -> ContentReport:
    """Write the differences between files and catalogue in one transaction.

    Loading the same files again writes nothing.

    Raises:
        InvalidInput: the files are invalid; nothing was changed.
    """
    content = read_content(directory)
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        report = ContentReport(
            roles=await _sync(session, ROLE, [_role(role) for role in content.roles]),
            questions=await _sync(session, QUESTION, [_question(found) for found in content.questions]),
            credentials=await _sync(session, CREDENTIAL, await _not_imported(session, content.credentials)),
        )
    log.info("content_loaded", **encode(report))
    return report


async def _sync(session: AsyncSession, kind: _Kind, wanted: list[Row]) -> Counts:
    """Make the wanted rows current, withdraw the others and store every version."""
    columns = kind.table.__table__.c
    tracked = select(columns.id, *(columns[name] for name in kind.tracked)).where(kind.owned)
    before = {row.id: tuple(row)[1:] for row in await session.execute(tracked)}
    differing = [row for row in wanted if before.get(row["id"]) != tuple(row[name] for name in kind.tracked)]
    await write(session, kind.name, kind.table, differing)
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


async def _not_imported(session: AsyncSession, credentials: Sequence[Credential]) -> list[Row]:
    """Return the rows of credentials whose keys do not belong to an import."""
    taken = select(CredentialRow.id).where(CredentialRow.details["source"].astext == IMPORT)
    imported = set(await session.scalars(taken.where(CredentialRow.id.in_([each.id for each in credentials]))))
    if imported:
        log.warning("content_left_to_imports", credentials=len(imported))
    return [credential_row(each, FILES) for each in credentials if each.id not in imported]


def _role(role: Role) -> Row:
    return {
        "id": role.id,
        "key": role.key,
        "name": role.name,
        "description": role.description,
        "skills_profile": encode(role.skills),
        "prerequisites": role.prerequisites,
        **encode(role.attempt_policy),
        **current(version_of(role)),
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
        **current(question.version),
    }
