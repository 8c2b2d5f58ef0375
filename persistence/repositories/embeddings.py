"""Store the vectors of catalogue texts in PostgreSQL."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.ids import derived_id
from domain.recommending.ports import CatalogText, IndexEntry, Vector
from domain.recommending.roles import credential_text
from domain.recommending.vectors import check_vector
from persistence.database import storage_errors
from persistence.repositories import mappers
from persistence.tables import CredentialRow, EmbeddingArtifactRow

ENTITY_TYPE: Final = "credential"


class SqlEmbeddingArtifacts:
    """The port `EmbeddingArtifacts`. Each call is a separate transaction.

    Raises:
        StorageUnavailable: the database is unreachable or overloaded.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def pending(self, provider: str, model: str, *, limit: int) -> tuple[CatalogText, ...]:
        statement = (
            select(*mappers.CREDENTIAL_COLUMNS, CredentialRow.text_hash)
            .where(_is_pending(provider, model))
            .order_by(CredentialRow.id)
            .limit(limit)
        )
        with storage_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(statement)).mappings().all()
        return tuple(
            CatalogText(
                credential_id=row["id"], text=credential_text(mappers.credential(row)), text_hash=row["text_hash"]
            )
            for row in rows
        )

    async def count_pending(self, provider: str, model: str) -> int:
        statement = select(func.count()).select_from(CredentialRow).where(_is_pending(provider, model))
        with storage_errors():
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).scalar_one()

    async def add(self, provider: str, model: str, embedded: Sequence[tuple[CatalogText, Vector]]) -> None:
        rows = [_row(provider, model, text, vector) for text, vector in embedded]
        if not rows:
            return
        statement = insert(EmbeddingArtifactRow).on_conflict_do_nothing()
        with storage_errors():
            async with self._engine.begin() as connection:
                await connection.execute(statement, rows)

    async def searchable(self, provider: str, model: str) -> dict[UUID, UUID]:
        statement = _searchable(CredentialRow.id, EmbeddingArtifactRow.id.label("artifact_id")).where(
            *_made_by(provider, model)
        )
        with storage_errors():
            async with self._engine.connect() as connection:
                return {row.id: row.artifact_id for row in await connection.execute(statement)}

    async def count_searchable(self, provider: str, model: str) -> int:
        statement = _searchable(func.count()).where(*_made_by(provider, model))
        with storage_errors():
            async with self._engine.connect() as connection:
                count: int = (await connection.execute(statement)).scalar_one()
        return count

    async def entries(self, artifact_ids: Sequence[UUID]) -> tuple[IndexEntry, ...]:
        row = (CredentialRow.title, CredentialRow.description, CredentialRow.skills, EmbeddingArtifactRow.vector)
        statement = _searchable(CredentialRow.id, EmbeddingArtifactRow.id.label("artifact_id"), *row)
        statement = statement.where(EmbeddingArtifactRow.id.in_(artifact_ids)).order_by(CredentialRow.id)
        with storage_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(statement)).all()
        return tuple(
            IndexEntry(
                credential_id=each.id,
                artifact_id=each.artifact_id,
                title=each.title,
                description=each.description,
                skills=tuple(each.skills),
                vector=each.vector,
            )
            for each in rows
        )


def _searchable(*columns: Any) -> Select[Any]:  # noqa: ANN401  # columns of any type
    """Select from the active credentials that have a vector of their current text."""
    current = and_(
        EmbeddingArtifactRow.entity_type == ENTITY_TYPE,
        EmbeddingArtifactRow.entity_id == CredentialRow.id,
        EmbeddingArtifactRow.text_hash == CredentialRow.text_hash,
    )
    return select(*columns).select_from(CredentialRow).join(EmbeddingArtifactRow, current).where(CredentialRow.active)


def _made_by(provider: str, model: str) -> tuple[ColumnElement[bool], ...]:
    return (EmbeddingArtifactRow.provider == provider, EmbeddingArtifactRow.model == model)


def _is_pending(provider: str, model: str) -> ColumnElement[bool]:
    current = exists().where(
        EmbeddingArtifactRow.entity_type == ENTITY_TYPE,
        EmbeddingArtifactRow.entity_id == CredentialRow.id,
        EmbeddingArtifactRow.provider == provider,
        EmbeddingArtifactRow.model == model,
        EmbeddingArtifactRow.text_hash == CredentialRow.text_hash,
    )
    return CredentialRow.active & ~current


def _row(provider: str, model: str, text: CatalogText, vector: Vector) -> dict[str, object]:
    check_vector(vector)
    key = (ENTITY_TYPE, text.credential_id, provider, model, text.text_hash)
    return {
        "id": derived_id("embedding", *key),
        "entity_type": ENTITY_TYPE,
        "entity_id": text.credential_id,
        "provider": provider,
        "model": model,
        "text_hash": text.text_hash,
        "vector": list(vector),
    }
