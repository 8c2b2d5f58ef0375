"""Vector stores under test, which receive the same credentials."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import delete, insert, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.recommending.ports import CredentialIndex, IndexEntry
from persistence.tables import CredentialRow, EmbeddingArtifactRow
from persistence.vectors.pgvector import PgVectorIndex
from persistence.vectors.weaviate import Weaviate, WeaviateIndex
from persistence.vectors.weaviate_schema import alias_of
from persistence.vectors.weaviate_writer import WeaviateIndexWriter
from tests.domain.builders import SQL, an_id
from tests.support.fake_search import IndexedCredential, InMemoryCredentialIndex

PROVIDER, MODEL = "sentence-transformers", "test-model"


def towards(angle: float) -> list[float]:
    """Return a unit vector at this angle in degrees from `towards(0)`."""
    return [math.cos(math.radians(angle)), math.sin(math.radians(angle)), *[0.0] * 382]


def credential(name: str, angle: float = 0, words: str = "", **changes: Any) -> IndexedCredential:
    valid = IndexedCredential(
        id=an_id(name), artifact_id=an_id(f"{name} text"), text=words or name, skills=(SQL,), vector=towards(angle)
    )
    return replace(valid, **changes)


class IndexStore(Protocol):
    """A store with an index that finds what was put into the store."""

    index: CredentialIndex

    async def put(self, credentials: Sequence[IndexedCredential]) -> None:
        """Insert or replace the credentials."""
        ...

    async def withdraw(self, ids: Sequence[UUID]) -> None: ...


class MemoryStore:
    def __init__(self) -> None:
        self._credentials: dict[UUID, IndexedCredential] = {}
        self.index: CredentialIndex = InMemoryCredentialIndex([])

    async def put(self, credentials: Sequence[IndexedCredential]) -> None:
        self._credentials |= {each.id: each for each in credentials}
        self.index = InMemoryCredentialIndex(list(self._credentials.values()))

    async def withdraw(self, ids: Sequence[UUID]) -> None:
        await self.put([replace(self._credentials[each], active=False) for each in ids])


class PostgresStore:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.index: CredentialIndex = PgVectorIndex(engine, PROVIDER, MODEL)

    async def empty(self) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(EmbeddingArtifactRow))
            await connection.execute(delete(CredentialRow))

    async def put(self, credentials: Sequence[IndexedCredential]) -> None:
        async with self._engine.begin() as connection:
            for each in credentials:
                await connection.execute(delete(EmbeddingArtifactRow).where(EmbeddingArtifactRow.entity_id == each.id))
                row = _credential_row(each)
                placed = upsert(CredentialRow).values(row).on_conflict_do_update(index_elements=["id"], set_=row)
                await connection.execute(placed)
            vectors = [_artifact_row(each) for each in credentials if each.vector is not None]
            if vectors:
                await connection.execute(insert(EmbeddingArtifactRow), vectors)

    async def withdraw(self, ids: Sequence[UUID]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(update(CredentialRow).where(CredentialRow.id.in_(ids)).values(active=False))


class WeaviateStore:
    """A store in Weaviate. As in production, it receives only active credentials with a vector."""

    def __init__(self, weaviate: Weaviate, model: str) -> None:
        self._weaviate, self._model = weaviate, model
        self.writer = WeaviateIndexWriter(weaviate, PROVIDER, model)
        self.index: CredentialIndex = WeaviateIndex(weaviate, PROVIDER, model)

    async def put(self, credentials: Sequence[IndexedCredential]) -> None:
        if not await self.writer.is_usable(at_least=0):
            await self.writer.finish(await self.writer.begin())
        wanted = [entry(each) for each in credentials if each.active and each.vector is not None]
        assert await self.writer.upsert(wanted) == ()

    async def withdraw(self, ids: Sequence[UUID]) -> None:
        await self.writer.delete(ids)

    async def discard(self) -> None:
        await discard(self._weaviate, self._model)


async def discard(weaviate: Weaviate, model: str) -> None:
    """Delete a test's collections from the shared server."""
    client, alias = await weaviate.client(), alias_of(PROVIDER, model)
    for name in await client.collections.list_all():
        if name.startswith(alias):
            await client.collections.delete(name)
    await client.alias.delete(alias_name=alias)


def entry(each: IndexedCredential) -> IndexEntry:
    return IndexEntry(
        credential_id=each.id,
        artifact_id=each.artifact_id,
        title=each.text[:200],
        description=each.text[200:],
        skills=each.skills,
        vector=each.vector or (),
    )


def _credential_row(each: IndexedCredential) -> dict[str, Any]:
    return {
        "id": each.id,
        "key": str(each.id),
        "title": each.text[:200],
        "description": each.text[200:],
        "skills": list(each.skills),
        "level": "foundation",
        "hours": 6,
        "provider": "Demo Academy North",
        "source_uri": "https://catalog.example.org",
        "prerequisites": [],
        "version": "0" * 64,
        "text_hash": "a" * 64,
        "active": each.active,
    }


def _artifact_row(each: IndexedCredential) -> dict[str, Any]:
    return {
        "id": each.artifact_id,
        "entity_type": "credential",
        "entity_id": each.id,
        "provider": PROVIDER,
        "model": MODEL,
        "text_hash": "a" * 64,
        "vector": each.vector,
    }
