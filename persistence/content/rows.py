"""Credentials as rows of the catalogue, with every version kept, whoever brings them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import content_hash
from domain.recommending.roles import Credential, credential_text
from persistence.repositories.bulk import insert_rows
from persistence.tables import ContentVersionRow, CredentialRow, QuestionRow, RoleRow

LOCK: Final = 7_203_118_455_022
"""Taken by whoever changes content. Any number that nothing else in this database locks."""

FILES: Final = "content"
IMPORT: Final = "import"
"""Whose a credential is, its `source`: what came from the files is not an import's to change, nor the other way."""

Row: TypeAlias = dict[str, Any]


def credential_row(credential: Credential, source: str) -> Row:
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
        "metadata": {"source": source},
        **current(credential.version),
    }


def current(version: str) -> Row:
    """The columns of a row that is in use."""
    return {"version": version, "active": True, "updated_at": datetime.now(UTC)}


async def write(
    session: AsyncSession, kind: str, table: type[RoleRow | QuestionRow | CredentialRow], rows: Sequence[Row]
) -> None:
    """Makes the rows current, in the place of what has their ids, and keeps each as a version of the `kind`."""
    versions = [_version(kind, row) for row in rows]
    await insert_rows(session, {table: rows, ContentVersionRow: versions}, replace={table: ("id",)}, skip_existing=True)


def _version(kind: str, row: Row) -> Row:
    """The whole row, as it stands from now on."""
    document = {name: value for name, value in row.items() if name not in {"active", "updated_at"}}
    return {"entity_type": kind, "entity_id": row["id"], "version": row["version"], "document": document}
