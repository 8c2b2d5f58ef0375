"""Evaluate retrieval: the project's hybrid search in a real store against BM25 and against vectors alone."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from activities.index_catalog import CatalogIndex, rebuild
from activities.phrases import embed_lines
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from domain.errors import InvalidInput
from domain.ids import content_hash, derived_id
from domain.recommending.ports import CredentialIndex, Embedder, EmbeddingArtifacts, SearchQuery, Vector
from domain.recommending.roles import Credential, CredentialLevel, credential_text
from persistence.content.rows import FILES, credential_row, write
from persistence.database import create_engine
from persistence.migrate import upgrade
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.tables import CredentialRow
from persistence.vectors.pgvector import PgVectorIndex
from persistence.vectors.weaviate import Weaviate, WeaviateIndex
from persistence.vectors.weaviate_writer import WeaviateIndexWriter
from tests.benchmarks import report
from tests.evaluation.bm25 import Bm25
from tests.evaluation.ranking_metrics import CUT, Estimate, estimate, ndcg, recall
from tests.evaluation.recommendation_sets import Document, Query
from tests.support.databases import settings_of
from tests.support.vector_stores import settings_of_weaviate, weaviate_for_tests

ANY_SKILL: Final = "general"
UNTITLED: Final = "-"
"""The skill and the title of a document without them, because every credential has both. They are not embedded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalFigures:
    system: str
    queries: int
    ndcg: Estimate
    recall: Estimate


def figures(system: str, ranked: Sequence[Sequence[str]], queries: Sequence[Query]) -> RetrievalFigures:
    pairs = list(zip(ranked, queries, strict=True))
    return RetrievalFigures(
        system=system,
        queries=len(queries),
        ndcg=estimate([ndcg(found, query.relevant) for found, query in pairs]),
        recall=estimate([recall(found, query.relevant) for found, query in pairs]),
    )


async def measure(
    documents: Sequence[Document], queries: Sequence[Query], embedder: Embedder, store: str
) -> tuple[RetrievalFigures, ...]:
    """Measure BM25, an exact vector search, and the project's search in the store."""
    ids = [each.id for each in documents]
    words = Bm25(each.words for each in documents)
    by_words = [best(words.scores(query.text), ids) for query in queries]
    report.say("embedding the documents as one text each, for the baseline")
    texts = np.asarray(await embedder.embed([each.words for each in documents]), dtype=np.float32)
    asked = np.asarray(await embedder.embed([query.text for query in queries]), dtype=np.float32)
    by_vectors = [best(each, ids) for each in asked @ texts.T]
    report.say(f"embedding the documents into {store}")
    async with _index(documents, embedder, store) as index:
        ours = await _search(index, documents, queries, await embed_lines(embedder, [each.text for each in queries]))
    return (
        figures("BM25 only", by_words, queries),
        figures("vectors only", by_vectors, queries),
        figures(f"ours, {store}", ours, queries),
    )


def best(scores: NDArray[np.floating], ids: Sequence[str], at_most: int = CUT) -> list[str]:
    """Return the ids by score. Equal scores keep the ids' order."""
    least = np.partition(scores, -at_most)[-at_most] if at_most < len(scores) else -np.inf
    places = np.flatnonzero(scores >= least)  # sorting all scores takes longer
    return [ids[places[place]] for place in np.argsort(-scores[places], kind="stable")[:at_most]]


async def _search(
    index: CredentialIndex, documents: Sequence[Document], queries: Sequence[Query], vectors: Sequence[Vector]
) -> list[list[str]]:
    names = {credential_id(each): each.id for each in documents}
    asked = [SearchQuery(text=query.text, vector=vector) for query, vector in zip(queries, vectors, strict=True)]
    found = [(await index.search([query], limit=CUT)).hits[0] for query in asked]
    return [[names[hit.credential_id] for hit in hits] for hits in found]


def credential_id(document: Document) -> UUID:
    return derived_id("evaluated", document.id)


def embedded_text(document: Document) -> str:
    """Return the text that the catalogue embeds for a document, without the placeholders."""
    text = credential_text(credential(document))
    return text.removeprefix(f"{UNTITLED}\n").removesuffix(f" Skills: {ANY_SKILL}.")


def credential(document: Document) -> Credential:
    return Credential(
        id=credential_id(document),
        key=str(credential_id(document)),
        title=document.title or UNTITLED,
        description=document.text,
        skills=document.skills or (ANY_SKILL,),
        level=CredentialLevel.FOUNDATION,
        hours=Decimal(1),
        provider="evaluation",
        source_uri="https://catalog.example.org/evaluation",
        version=content_hash([document.id, document.title, document.text]),
    )


@asynccontextmanager
async def _index(documents: Sequence[Document], embedder: Embedder, store: str) -> AsyncIterator[CredentialIndex]:
    """Yield an index with the documents, as an import and an embedding run fill it."""
    with tempfile.TemporaryDirectory(prefix="microcred-evaluation-") as directory, ExitStack() as running:
        postgres = running.enter_context(EmbeddedPostgres(Path(directory) / "postgres", free_port(), durable=False))
        settings = settings_of(postgres.url)
        await asyncio.to_thread(upgrade, settings)
        engine = create_engine(settings)
        try:
            await _fill(engine, documents)
            await _embed(SqlEmbeddingArtifacts(engine), documents, embedder)
            async with engine.begin() as connection:  # autovacuum would do this later
                await connection.execute(text("ANALYZE credential_catalog, embedding_artifacts"))
            if store == "pgvector":
                yield PgVectorIndex(engine, embedder.provider, embedder.model)
            else:
                async with _weaviate(engine, embedder, running.enter_context(weaviate_for_tests())) as index:
                    yield index
        finally:
            await engine.dispose()


async def _fill(engine: AsyncEngine, documents: Sequence[Document]) -> None:
    async with AsyncSession(engine) as session:
        rows = [credential_row(credential(each), FILES) for each in documents]
        await write(session, "credential", CredentialRow, rows)
        await session.commit()


async def _embed(artifacts: EmbeddingArtifacts, documents: Sequence[Document], embedder: Embedder) -> None:
    texts = {credential_id(each): embedded_text(each) for each in documents}
    pending = await artifacts.pending(embedder.provider, embedder.model, limit=len(documents))
    vectors = await embed_lines(embedder, [texts[each.credential_id] for each in pending])
    await artifacts.add(embedder.provider, embedder.model, list(zip(pending, vectors, strict=True)))


@asynccontextmanager
async def _weaviate(
    engine: AsyncEngine, embedder: Embedder, environment: Mapping[str, str]
) -> AsyncIterator[CredentialIndex]:
    """Yield an index in the run's own server. A shared server would lose its live collection."""
    if not environment or "127.0.0.1" not in environment["WEAVIATE_URL"]:
        raise InvalidInput("STORE=weaviate starts its own server: run `make weaviate` and unset WEAVIATE_URL")
    provider, model = embedder.provider, embedder.model
    async with Weaviate(settings_of_weaviate(environment)) as weaviate:
        writer = WeaviateIndexWriter(weaviate, provider, model)
        await rebuild(
            CatalogIndex(artifacts=SqlEmbeddingArtifacts(engine), writer=writer, provider=provider, model=model)
        )
        yield WeaviateIndex(weaviate, provider, model)
