"""`python -m tests.benchmarks.search`: measure both stores on a large catalogue of real embedded texts.

For each store, it measures the time of a search without the embedding of its query, with and without text and a skill
filter, and the recall of the ten nearest against an exact search. Then it compares the embedding throughput of the
catalogue's step with plain `SentenceTransformer.encode`. N is the number of credentials, QUERIES of searches per
measurement, TEXTS of texts to embed. Vectors are cached in `.local`; missing ones are embedded first.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import psycopg
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.adapters.minilm.runtimes import TorchRuntime
from activities.embed_catalog import embed_catalog
from activities.index_catalog import CatalogIndex, rebuild
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Process
from deploy.local.weaviate import WeaviateServer
from domain.ids import content_hash, derived_id
from domain.recommending.ports import CatalogText, CredentialIndex, SearchQuery
from domain.recommending.recommendations import SearchHit
from domain.recommending.roles import Credential, credential_text
from persistence.content.files import read_content
from persistence.database import create_engine
from persistence.migrate import upgrade
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.vectors.pgvector import PgVectorIndex
from persistence.vectors.weaviate import Weaviate, WeaviateIndex
from persistence.vectors.weaviate_writer import WeaviateIndexWriter
from tests.benchmarks import report
from tests.benchmarks.search_texts import embedded, varied
from tests.support.databases import CONTENT, settings_of
from tests.support.fake_search import InMemoryEmbeddingArtifacts
from tests.support.vector_stores import a_weaviate, settings_of_weaviate
from workflows.engine.process_exit import run_and_leave

N: Final = int(os.environ.get("N", "100000"))
QUERIES: Final = int(os.environ.get("QUERIES", "200"))
TEXTS: Final = int(os.environ.get("TEXTS", "1000"))
LIMIT: Final = 10
WARM: Final = 20


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures of a kind of search; `cpu_ms` covers client and server and ignores other load."""

    store: str
    search: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    recall: float | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Credentials, vectors and queries; `taught` marks by skill the credentials that teach it."""

    credentials: list[Credential]
    vectors: NDArray[np.float32]
    queries: list[SearchQuery]
    taught: dict[str, NDArray[np.bool_]]

    def nearest(self, query: SearchQuery) -> float:
        """Return the cosine of the tenth nearest credential in the filter: the bound of exact results."""
        cosines = self.vectors @ np.asarray(query.vector, dtype=np.float32)
        if query.skills:
            cosines = cosines[self.taught[query.skills[0]]]
        return float(np.sort(cosines)[-LIMIT:][0])

    def recall(self, queries: Sequence[SearchQuery], results: Sequence[Sequence[SearchHit]]) -> float:
        """Return the share of the ten nearest that was found, over all queries."""
        bounds = [self.nearest(query) - 1e-5 for query in queries]
        pairs = zip(results, bounds, strict=True)
        return statistics.mean(sum(hit.similarity >= bound for hit in hits) / LIMIT for hits, bound in pairs)


async def catalogue(embedder: MiniLMEmbedder) -> Catalogue:
    """Build queries from the roles' skills and the catalogue's sentences, each with a skill to filter by."""
    credentials = varied(N)
    vectors = await embedded(credentials, embedder, at_most=N)
    content = read_content(CONTENT)
    wanted = [(f"{each.skill}: {each.description}", each.skill) for role in content.roles for each in role.skills]
    wanted += [(each.description.split(". ")[-1], each.skills[0]) for each in content.credentials]
    texts = (wanted * (QUERIES // len(wanted) + 1))[:QUERIES]
    queries = [
        SearchQuery(text=text, vector=vector, skills=(skill,))
        for (text, skill), vector in zip(texts, await embedder.embed([text for text, _ in texts]), strict=True)
    ]
    skills = {skill for _, skill in texts}
    taught = {skill: np.array([skill in each.skills for each in credentials]) for skill in skills}
    return Catalogue(credentials, vectors, queries, taught)


def store(url: str, made: Catalogue) -> None:
    """Insert credentials and vectors as an import and the embedding of the whole catalogue do."""
    upgrade(settings_of(url))
    provider, model = MiniLMEmbedder.provider, MiniLMEmbedder.model
    with psycopg.connect(url.replace("+psycopg", "")) as connection, connection.cursor() as cursor:
        columns = "id, key, title, description, skills, level, hours, provider, source_uri, prerequisites, version"
        with cursor.copy(f"COPY credential_catalog ({columns}, text_hash) FROM STDIN") as copy:
            for each in made.credentials:
                values = [getattr(each, name) for name in columns.split(", ")]
                values[4], values[9] = list(each.skills), [str(id_) for id_ in each.prerequisites]
                copy.write_row([*values, content_hash(credential_text(each))])
        cursor.execute("DROP INDEX idx_embedding_artifacts_vector")  # building it at the end is faster
        names = "id, entity_type, entity_id, provider, model, text_hash, vector"
        with cursor.copy(f"COPY embedding_artifacts ({names}) FROM STDIN") as copy:
            for each, vector in zip(made.credentials, made.vectors, strict=True):
                text_hash = content_hash(credential_text(each))
                key = ("credential", each.id, provider, model, text_hash)
                copy.write_row([derived_id("embedding", *key), *key, str(vector.tolist())])
        cursor.execute("SET LOCAL maintenance_work_mem = '1GB'")
        cursor.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        cursor.execute(
            "CREATE INDEX idx_embedding_artifacts_vector ON embedding_artifacts USING hnsw (vector vector_cosine_ops)"
        )
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE credential_catalog, embedding_artifacts")


@dataclass(frozen=True, slots=True)
class Servers:
    postgres: EmbeddedPostgres
    weaviate: WeaviateServer


KINDS: Final[dict[str, Callable[[SearchQuery], SearchQuery]]] = {
    "vectors only": lambda query: replace(query, text="", skills=()),
    "hybrid": lambda query: replace(query, skills=()),
    "vectors only, one skill": lambda query: replace(query, text=""),
    "hybrid, one skill": lambda query: query,
}
"""The kinds of searches. Recall is measured without text, because text also decides the rank in a hybrid search."""


def _cpu_s(server: Process | None) -> float:
    """Return the CPU seconds so far of this process, the server and its children."""
    assert server is not None
    parent = psutil.Process(server.pid)
    times = [each.cpu_times() for each in (psutil.Process(), parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def measure(name: str, index: CredentialIndex, server: Process | None, made: Catalogue) -> list[Measurement]:
    found = []
    for kind, change in KINDS.items():
        queries = [change(query) for query in made.queries]
        for query in queries[:WARM]:
            await index.search([query], limit=LIMIT)
        times, results, cpu = [], [], _cpu_s(server)
        for query in queries:
            started = time.perf_counter()
            results.append((await index.search([query], limit=LIMIT)).hits[0])
            times.append((time.perf_counter() - started) * 1000)
        cpu_ms = (_cpu_s(server) - cpu) * 1000 / len(queries)
        recall = made.recall(queries, results) if not queries[0].text else None
        p95_ms = statistics.quantiles(times, n=20)[-1]
        found.append(Measurement(name, kind, statistics.median(times), p95_ms, cpu_ms, recall))
        report.say(f"  {name}, {kind}: p95 {found[-1].p95_ms:.1f} ms")
    return found


async def search(servers: Servers, weaviate: Weaviate, made: Catalogue) -> list[Measurement]:
    provider, model = MiniLMEmbedder.provider, MiniLMEmbedder.model
    engine: AsyncEngine = create_engine(settings_of(servers.postgres.url))
    writer = WeaviateIndexWriter(weaviate, provider, model)
    catalog = CatalogIndex(artifacts=SqlEmbeddingArtifacts(engine), writer=writer, provider=provider, model=model)
    started = time.perf_counter()
    await rebuild(catalog, on_progress=_every_ten_thousand)
    report.say(f"  Weaviate rebuilt from Postgres in {time.perf_counter() - started:.0f} s")
    found = await measure("weaviate", WeaviateIndex(weaviate, provider, model), servers.weaviate.process, made)
    found += await measure("pgvector", PgVectorIndex(engine, provider, model), servers.postgres.process, made)
    await engine.dispose()
    return found


def _every_ten_thousand(done: int, total: int) -> None:
    if done // 10_000 != (done - 256) // 10_000:
        report.say(f"  {done} of {total} in Weaviate")


@dataclass(frozen=True, slots=True)
class Throughput:
    """Texts per CPU second, and the memory that the step kept for the second half of the texts."""

    encode_alone: float
    by_the_step: float
    grown_mb: float


async def throughput(embedder: MiniLMEmbedder, credentials: Sequence[Credential]) -> Throughput:
    """Measure both lanes in turns on one thread, in CPU time, which other load on the machine does not affect.

    Memory is reported for the step only: plain `encode` keeps growing for thousands of texts.
    """
    settings = MiniLMSettings()
    if settings.path is None:
        raise SystemExit("The model is not installed")
    plain = TorchRuntime(settings.path, settings.threads).model
    texts = [credential_text(each) for each in credentials[:TEXTS]]
    alone_s = step_s = 0.0
    kept_mb = []
    for start in range(0, len(texts), 250):
        part = texts[start : start + 250]
        started = time.process_time()
        await asyncio.to_thread(plain.encode, part, normalize_embeddings=True)
        alone_s += time.process_time() - started
        pending = [
            CatalogText(credential_id=derived_id(text), text=text, text_hash=content_hash(text)) for text in part
        ]
        before, started = _memory_mb(), time.process_time()
        await embed_catalog(InMemoryEmbeddingArtifacts(pending), embedder)
        step_s += time.process_time() - started
        kept_mb.append(_memory_mb() - before)
    return Throughput(len(texts) / alone_s, len(texts) / step_s, sum(kept_mb[len(kept_mb) // 2 :]))


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


async def run(servers: Servers) -> None:
    embedder = MiniLMEmbedder(MiniLMSettings())
    made = await catalogue(embedder)
    speed = await throughput(embedder, made.credentials)
    store(servers.postgres.url, made)
    async with Weaviate(settings_of_weaviate(servers.weaviate.client_environment)) as weaviate:
        found = await search(servers, weaviate, made)
    columns = ["store", "search", "p50 ms", "p95 ms", "CPU ms", f"recall@{LIMIT}"]
    rows = [list(asdict(each).values()) for each in found]
    report.say("\n" + report.table(columns, [["" if cell is None else cell for cell in row] for row in rows]))
    report.say(
        f"\nEmbedding: {speed.by_the_step:.1f} texts a CPU second, {speed.by_the_step / speed.encode_alone:.0%} of"
        f" encode alone ({speed.encode_alone:.1f}); memory grew by {speed.grown_mb:.0f} MB over the second half"
    )
    figures = {"n": len(made.credentials), "searches": [asdict(each) for each in found], "embedding": asdict(speed)}
    report.say(f"Written to {report.write('search', figures)}")


def main() -> int:
    report.say(f"search: {N} credentials, {QUERIES} searches a measurement")
    with tempfile.TemporaryDirectory(prefix="microcred-search-") as directory, ExitStack() as running:
        path = Path(directory)
        postgres = running.enter_context(EmbeddedPostgres(path / "postgres", free_port(), durable=False))
        asyncio.run(run(Servers(postgres, running.enter_context(a_weaviate(path)))))
    return 0


if __name__ == "__main__":
    run_and_leave(main)
