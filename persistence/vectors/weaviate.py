"""Hybrid search in Weaviate: HNSW over the stored vectors and BM25, fused by relative score."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import mul
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import UUID

from httpx import HTTPError
from weaviate import WeaviateAsyncClient
from weaviate.auth import Auth
from weaviate.classes.query import Filter, HybridFusion, MetadataQuery
from weaviate.collections import CollectionAsync
from weaviate.config import AdditionalConfig, GrpcConfig, Timeout
from weaviate.connect.base import ConnectionParams, ProtocolParams
from weaviate.exceptions import WeaviateBaseError
from weaviate.outputs.query import Object

from domain.errors import ExternalServiceError
from domain.recommending.ports import SearchQuery, SearchResult
from domain.recommending.recommendations import SearchHit
from persistence.vectors.ranking import WORD_SHARE, check_search
from persistence.vectors.weaviate_schema import ARTIFACT_ID, SKILLS, WORDS, alias_of
from persistence.vectors.weaviate_settings import WeaviateSettings

TIES: Final = 10
"""Extra hits above the limit, so that ties at the limit are resolved by id in every search."""
RECONNECT_MS: Final = 1_000
"""The longest reconnect delay. The default of gRPC is two minutes."""

# The client logs whole objects when one of a batch is rejected.
logging.getLogger("weaviate-client").setLevel(logging.CRITICAL)


class Weaviate:
    """A connection that opens at the first call. The next call retries a failed connection attempt."""

    def __init__(self, settings: WeaviateSettings) -> None:
        self._client = _client(settings)
        self._connecting = asyncio.Lock()

    async def client(self) -> WeaviateAsyncClient:
        async with self._connecting:
            if not self._client.is_connected():
                await self._client.connect()
        return self._client

    async def collection(self, name: str) -> CollectionAsync[Any, Any]:
        return (await self.client()).collections.use(name)

    async def close(self) -> None:
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _client(settings: WeaviateSettings) -> WeaviateAsyncClient:
    parts = urlsplit(settings.url or "")
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    return WeaviateAsyncClient(
        ConnectionParams(
            http=ProtocolParams(host=host, port=parts.port or (443 if secure else 80), secure=secure),
            grpc=ProtocolParams(host=settings.grpc_host or host, port=settings.grpc_port, secure=secure),
        ),
        auth_client_secret=Auth.api_key(settings.api_key.get_secret_value()) if settings.api_key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(query=settings.deadline_s, insert=settings.write_timeout_s, init=settings.deadline_s),
            grpc_config=GrpcConfig(channel_options=[("grpc.max_reconnect_backoff_ms", RECONNECT_MS)]),
        ),
        skip_init_checks=True,  # the checks would also ask PyPI for the client's newest version
    )


@contextmanager
def weaviate_errors() -> Iterator[None]:
    """Raise ExternalServiceError for every failure of a call to Weaviate, without the data that was sent."""
    try:
        yield
    except (WeaviateBaseError, HTTPError, OSError) as error:
        raise ExternalServiceError(
            f"Weaviate failed: {type(error).__name__}. Check that the server at WEAVIATE_URL responds"
        ) from error


class WeaviateIndex:
    """The port `CredentialIndex` over the live collection of one provider's model."""

    def __init__(self, weaviate: Weaviate, provider: str, model: str) -> None:
        self._weaviate = weaviate
        self._alias = alias_of(provider, model)

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        check_search(queries, limit)
        with weaviate_errors():
            collection = await self._weaviate.collection(self._alias)
            return SearchResult(
                hits=tuple(await asyncio.gather(*(_search(collection, query, limit) for query in queries)))
            )


async def _search(collection: CollectionAsync[Any, Any], query: SearchQuery, limit: int) -> tuple[SearchHit, ...]:
    found = await collection.query.hybrid(
        query.text or None,  # Weaviate rejects an empty text
        vector=list(query.vector),
        alpha=1 - WORD_SHARE,
        query_properties=list(WORDS),
        fusion_type=HybridFusion.RELATIVE_SCORE,
        limit=limit + TIES,
        filters=Filter.by_property(SKILLS).contains_any(list(query.skills)) if query.skills else None,
        include_vector=True,
        return_metadata=MetadataQuery(score=True),
        return_properties=[ARTIFACT_ID],
    )
    best = sorted(found.objects, key=lambda each: (-(each.metadata.score or 0.0), each.uuid))[:limit]
    return tuple(_hit(query, each) for each in best)


def _hit(query: SearchQuery, found: Object[Any, Any]) -> SearchHit:
    artifact_id, vector = found.properties.get(ARTIFACT_ID), found.vector.get("default")
    if not isinstance(artifact_id, UUID) or not vector:
        raise ExternalServiceError("The Weaviate collection contains objects that are not credentials")
    return SearchHit(
        credential_id=UUID(int=found.uuid.int),  # the client's own class is not equal to UUID
        artifact_id=UUID(int=artifact_id.int),
        similarity=sum(map(mul, query.vector, vector)),
        score=found.metadata.score or 0.0,
    )
