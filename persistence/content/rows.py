"""Write credentials and other content as rows of the catalogue, with every version."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import content_hash
from domain.recommending.roles import Credential, credential_text
from persistence.repositories.bulk import insert_rows
from persistence.tables import ContentVersionRow, CredentialRow, QuestionRow, RoleRow

LOCK: Final = 7_203_118_455_022
"""The key of the advisory lock for changes of content. No other code in this database uses this number."""

FILES: Final = "content"
IMPORT: Final = "import"
"""The `source` of a credential. The content files and the imports do not change each other's credentials."""

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
    """Return the columns that mark a row as current."""
    return {"version": version, "active": True, "updated_at": datetime.now(UTC)}


async def write(
    session: AsyncSession, kind: str, table: type[RoleRow | QuestionRow | CredentialRow], rows: Sequence[Row]
) -> None:
    """Insert or replace the current rows, and store each row as a version of the `kind`."""
    versions = [_version(kind, row) for row in rows]
    await insert_rows(session, {table: rows, ContentVersionRow: versions}, replace={table: ("id",)}, skip_existing=True)


def _version(kind: str, row: Row) -> Row:
    """Return the whole row as a version."""
    document = {name: value for name, value in row.items() if name not in {"active", "updated_at"}}
    return {"entity_type": kind, "entity_id": row["id"], "version": row["version"], "document": document}
