"""Searching the catalogue: the query text is read once, and a fallback searches when the model fails."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.retrieve_evidence import SearchBackend
from activities.search_catalog import CatalogSearchInput, SearchCatalog
from domain.database import Database
from domain.errors import ExternalServiceError, NotFound
from domain.grading.scores import DegradedReason
from domain.recommending.ports import SearchResult
from persistence.tables import CatalogSearchRow
from tests.domain.builders import an_id
from tests.support.fake_search import FakeEmbedder, IndexedCredential, InMemoryCredentialIndex, bag_of_words

NAMES = ("join tables", "plot charts", "lead meetings")
SEARCHED = SearchBackend(
    embedder=FakeEmbedder(),
    index=InMemoryCredentialIndex(
        [
            IndexedCredential(
                id=an_id(name), artifact_id=an_id(f"{name} text"), text=name, skills=(), vector=bag_of_words(name)
            )
            for name in NAMES
        ]
    ),
)


class SilentEmbedder(FakeEmbedder):
    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise ExternalServiceError(f"No vectors for {len(texts)} texts")


async def kept(session: AsyncSession, words: str = "plot charts") -> UUID:
    search_id = uuid4()
    await session.execute(insert(CatalogSearchRow).values(id=search_id, words=words))
    return search_id


async def search(activity: SearchCatalog, search_id: UUID, limit: int = 2) -> SearchResult:
    found: SearchResult = await ActivityEnvironment().run(
        activity.search_catalog, CatalogSearchInput(search_id=search_id, limit=limit)
    )
    return found


async def test_the_nearest_come_first(session: AsyncSession, database: Database) -> None:
    found = await search(SearchCatalog(database, SEARCHED), await kept(session))

    assert found.hits[0][0].credential_id == an_id("plot charts")
    assert len(found.hits[0]) == 2
    assert found.degraded_reason is None


async def test_the_query_text_is_read_once(session: AsyncSession, database: Database) -> None:
    search_id = await kept(session)
    await search(SearchCatalog(database, SEARCHED), search_id)

    with pytest.raises(NotFound):
        await search(SearchCatalog(database, SEARCHED), search_id)


async def test_the_fallback_searches_when_the_model_fails(session: AsyncSession, database: Database) -> None:
    silent = SearchBackend(embedder=SilentEmbedder(), index=SEARCHED.index)

    found = await search(SearchCatalog(database, silent, SEARCHED), await kept(session))

    assert found.hits[0][0].credential_id == an_id("plot charts")
    assert found.degraded_reason is DegradedReason.EMBEDDER_FALLBACK


async def test_without_a_fallback_the_search_fails(session: AsyncSession, database: Database) -> None:
    silent = SearchBackend(embedder=SilentEmbedder(), index=SEARCHED.index)

    with pytest.raises(ExternalServiceError):
        await search(SearchCatalog(database, silent), await kept(session))
