"""Write the credential index in Weaviate."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections import CollectionAsync
from weaviate.exceptions import WeaviateInsertManyAllFailedError

from domain.errors import ExternalServiceError, NotFound
from domain.recommending.ports import IndexEntry, RejectedEntry
from domain.recommending.vectors import check_vector
from persistence.vectors.weaviate import Weaviate, weaviate_errors
from persistence.vectors.weaviate_schema import (
    ARTIFACT_ID,
    DESCRIPTION,
    PROPERTIES,
    SKILLS,
    TITLE,
    VECTORS,
    alias_of,
    is_ours,
)

BATCH: Final = 256

log = structlog.get_logger(__name__)


class WeaviateIndexWriter:
    """The port `CredentialIndexWriter` for the vectors of one provider's model."""

    def __init__(self, weaviate: Weaviate, provider: str, model: str) -> None:
        self._weaviate = weaviate
        self._alias = alias_of(provider, model)

    async def begin(self) -> str:
        build = f"{self._alias}_{uuid4().hex[:12]}"
        with weaviate_errors():
            client = await self._weaviate.client()
            await client.collections.create(build, properties=list(PROPERTIES), vector_config=VECTORS)
        log.info("index_build_begun", build=build)
        return build

    async def upsert(self, entries: Sequence[IndexEntry], build: str | None = None) -> tuple[RejectedEntry, ...]:
        for entry in entries:
            check_vector(entry.vector)
        with weaviate_errors():
            collection = await self._collection(build)
            refused: list[RejectedEntry] = []
            for start in range(0, len(entries), BATCH):
                refused += await _insert(collection, entries[start : start + BATCH])
        for each in refused:
            log.warning("index_entry_refused", credential_id=str(each.credential_id))
        return tuple(refused)

    async def delete(self, credential_ids: Sequence[UUID], build: str | None = None) -> None:
        with weaviate_errors():
            collection = await self._collection(build)
            for start in range(0, len(credential_ids), BATCH):
                ids = credential_ids[start : start + BATCH]
                deleted = await collection.data.delete_many(Filter.by_id().contains_any(ids))
                if deleted.failed:
                    raise ExternalServiceError(f"Weaviate did not delete {deleted.failed} entries")

    async def entries(self, build: str | None = None) -> dict[UUID, UUID]:
        with weaviate_errors():
            collection = await self._collection(build)
            return {
                UUID(int=each.uuid.int): UUID(int=each.properties[ARTIFACT_ID].int)
                async for each in collection.iterator(return_properties=[ARTIFACT_ID], cache_size=1_000)
            }

    async def finish(self, build: str) -> None:
        with weaviate_errors():
            await self._collection(build)
            client = await self._weaviate.client()
            if await client.alias.get(alias_name=self._alias):
                await client.alias.update(alias_name=self._alias, new_target_collection=build)
            else:
                await client.collections.delete(
                    self._alias
                )  # a collection that an operator created under the alias's name
                await client.alias.create(alias_name=self._alias, target_collection=build)
            await self._drop_builds()
        log.info("index_build_finished", build=build)

    async def is_usable(self, at_least: int) -> bool:
        with weaviate_errors():
            client = await self._weaviate.client()
            if not await client.collections.exists(self._alias):
                return False
            collection = client.collections.use(self._alias)
            if not is_ours(await collection.config.get()):
                return False
            total = (await collection.aggregate.over_all(total_count=True)).total_count or 0
        return total >= at_least

    async def _collection(self, build: str | None) -> CollectionAsync[Any, Any]:
        """Return an existing collection. An insert into a missing one would create it with a guessed schema."""
        client = await self._weaviate.client()
        name = build or self._alias
        if not await client.collections.exists(name):
            raise NotFound(f"Weaviate has no collection {name}")
        return client.collections.use(name)

    async def _drop_builds(self) -> None:
        """Delete all builds except the live one."""
        client = await self._weaviate.client()
        live = await client.alias.get(alias_name=self._alias)
        for name in await client.collections.list_all():
            if name.startswith(f"{self._alias}_") and not (live and name == live.collection):
                await client.collections.delete(name)


async def _insert(collection: CollectionAsync[Any, Any], entries: Sequence[IndexEntry]) -> list[RejectedEntry]:
    objects = [
        DataObject(
            uuid=entry.credential_id,
            properties={
                TITLE: entry.title,
                DESCRIPTION: entry.description,
                SKILLS: list(entry.skills),
                ARTIFACT_ID: entry.artifact_id,
            },
            vector=list(entry.vector),
        )
        for entry in entries
    ]
    try:
        errors = (await collection.data.insert_many(objects)).errors
    except WeaviateInsertManyAllFailedError as error:
        return [RejectedEntry(credential_id=entry.credential_id, problem=error.message) for entry in entries]
    return [RejectedEntry(credential_id=entries[n].credential_id, problem=each.message) for n, each in errors.items()]
