"""`make bench-recommending`: measure the two steps that find and rank credentials, as the worker runs them.

One learner at a time, on a real PostgreSQL (with STORE=weaviate also a real Weaviate) with N credentials and LEARNERS
earlier learners who rated their recommendations. The time of a step includes its row in `async_jobs`, the reads, the
search, the computation and the stored output. Lane `uncached` embeds the queries of the gaps and reads the other
learners every time. `cached queries` uses the worker's cache of query vectors, and `cached` also the one of other
learners. RUNS is the number of learners per lane.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from activities.adapters.caching import CachingEmbedder
from activities.adapters.knn import KnnNearestLearners
from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.blend_recommendations import BlendRecommendations
from activities.embed_catalog import embed_catalog
from activities.index_catalog import CatalogIndex, rebuild
from activities.retrieve_evidence import RetrieveEvidence
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.recommending.ports import CredentialIndex, Embedder
from persistence.content.loader import load_content
from persistence.content.rows import FILES, credential_row, write
from persistence.database import create_engine
from persistence.migrate import upgrade
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.tables import CredentialRow
from persistence.unit_of_work import SqlDatabase
from persistence.vectors.pgvector import PgVectorIndex
from persistence.vectors.weaviate import Weaviate, WeaviateIndex
from persistence.vectors.weaviate_writer import WeaviateIndexWriter
from tests.activities.builders import run_of, score_everything, submitted
from tests.benchmarks import report
from tests.benchmarks.search_texts import varied
from tests.support.builders import a_user, an_organization
from tests.support.databases import CONTENT, settings_of
from tests.support.earlier_learners import add_earlier_learners
from tests.support.vector_stores import a_weaviate, settings_of_weaviate
from workflows.engine.process_exit import run_and_leave

N: Final = int(os.environ.get("N", "200"))
LEARNERS: Final = int(os.environ.get("LEARNERS", "5000"))
RUNS: Final = int(os.environ.get("RUNS", "60"))
STORE: Final = os.environ.get("STORE") or "pgvector"
WARM: Final = 5
ITEMS: Final = 10
MADE_BY: Final = (MiniLMEmbedder.provider, MiniLMEmbedder.model)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Milliseconds per learner for both steps together, except `retrieve_p50_ms` and `blend_p50_ms`."""

    lane: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    retrieve_p50_ms: float
    blend_p50_ms: float


async def fill(engine: AsyncEngine, url: str, embedder: Embedder) -> UUID:
    """Insert the catalogue with vectors and the earlier learners. Return the learners' organization."""
    await load_content(engine, CONTENT)
    async with AsyncSession(engine) as session:
        await write(session, "credential", CredentialRow, [credential_row(each, FILES) for each in varied(N)])
        organization = await an_organization(session)
        await session.commit()
    await embed_catalog(SqlEmbeddingArtifacts(engine), embedder)
    add_earlier_learners(url, LEARNERS, organization)
    return organization


@asynccontextmanager
async def index(engine: AsyncEngine, running: ExitStack, directory: Path) -> AsyncIterator[CredentialIndex]:
    if STORE == "pgvector":
        yield PgVectorIndex(engine, *MADE_BY)
        return
    server = running.enter_context(a_weaviate(directory))
    async with Weaviate(settings_of_weaviate(server.client_environment)) as weaviate:
        writer = WeaviateIndexWriter(weaviate, *MADE_BY)
        provider, model = MADE_BY
        await rebuild(
            CatalogIndex(artifacts=SqlEmbeddingArtifacts(engine), writer=writer, provider=provider, model=model)
        )
        yield WeaviateIndex(weaviate, *MADE_BY)


async def measure(
    lane: str,
    engine: AsyncEngine,
    retrieve: RetrieveEvidence,
    blend: Callable[[], BlendRecommendations],
    organization: UUID,
) -> Measurement:
    database = SqlDatabase(engine)
    retrieved, blended, cpu_s = [], [], 0.0
    for number in range(WARM + RUNS):
        run = run_of(await scored(engine, database, organization))
        times, cpu = [time.perf_counter()], time.process_time()
        for step in (retrieve.retrieve_evidence, blend().blend_recommendations):
            await step(run)
            times.append(time.perf_counter())
        if number >= WARM:
            cpu_s += time.process_time() - cpu
            retrieved.append((times[1] - times[0]) * 1000)
            blended.append((times[2] - times[1]) * 1000)
    both = list(map(sum, zip(retrieved, blended, strict=True)))
    return Measurement(
        lane=lane,
        p50_ms=statistics.median(both),
        p95_ms=statistics.quantiles(both, n=20)[-1],
        cpu_ms=cpu_s * 1000 / RUNS,
        retrieve_p50_ms=statistics.median(retrieved),
        blend_p50_ms=statistics.median(blended),
    )


async def scored(engine: AsyncEngine, database: Database, organization: UUID) -> Assessment:
    """Submit the assessment of a new learner and store the scores that the steps need."""
    async with AsyncSession(engine) as session:
        assessment = await submitted(session, user_id=await a_user(session, organization), items=ITEMS)
        await session.commit()
    await score_everything(database, assessment)
    return assessment


async def run(url: str, running: ExitStack, directory: Path) -> list[Measurement]:
    settings = settings_of(url)
    await asyncio.to_thread(upgrade, settings)
    engine, minilm = create_engine(settings), MiniLMEmbedder(MiniLMSettings())
    try:
        await minilm.warm()
        organization = await fill(engine, url, minilm)
        database = SqlDatabase(engine)

        def new() -> BlendRecommendations:
            return BlendRecommendations(database, KnnNearestLearners())

        kept = new()
        async with index(engine, running, directory) as store:
            found = [
                await measure(lane, engine, RetrieveEvidence(database, embedder, store), blend, organization)
                for lane, embedder, blend in (
                    ("uncached", minilm, new),
                    ("cached queries", CachingEmbedder(minilm), new),
                    ("cached", CachingEmbedder(minilm), lambda: kept),
                )
            ]
    finally:
        minilm.close()
        await engine.dispose()
    return found


def main() -> int:
    if STORE not in {"pgvector", "weaviate"}:
        report.say(f"STORE must be pgvector or weaviate, and is {STORE}")
        return 2
    report.say(f"recommending: {N} credentials in {STORE}, {LEARNERS} earlier learners, {RUNS} learners a lane")
    with tempfile.TemporaryDirectory(prefix="microcred-recommending-") as directory, ExitStack() as running:
        path = Path(directory)
        postgres = running.enter_context(EmbeddedPostgres(path / "postgres", free_port()))
        found = asyncio.run(run(postgres.url, running, path))
    columns = ["lane", "p50 ms", "p95 ms", "CPU ms", "retrieve p50", "blend p50"]
    report.say("\n" + report.table(columns, [list(asdict(each).values()) for each in found]))
    figures = {"n": N, "learners": LEARNERS, "store": STORE, "measurements": [asdict(each) for each in found]}
    report.say(f"\nWritten to {report.write('recommending', figures)}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
