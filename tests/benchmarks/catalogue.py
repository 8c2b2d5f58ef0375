"""`python -m tests.benchmarks.catalogue`: measure a workflow run over a large catalogue on real servers.

N credentials, varied from real texts, are embedded and put into a new index. Then the same catalogue is rebuilt.
EMBEDDER=openai uses a fake model over HTTP whose vectors cost no time; EMBEDDER=minilm uses the real model.
"""

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psycopg
from temporalio.client import Client
from temporalio.worker import Worker

from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.adapters.openai.embedder import OpenAIEmbedder, OpenAIEmbeddingSettings
from activities.failures import FailureInterceptor
from activities.heartbeats import HeartbeatInterceptor
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.temporal import NAMESPACE, TemporalDevServer
from domain.ids import content_hash
from domain.recommending.ports import Embedder
from domain.recommending.roles import Credential, credential_text
from persistence.database import create_engine
from persistence.migrate import upgrade
from persistence.repositories.embedding_ledger import SqlEmbeddingLedger
from tests.benchmarks import report
from tests.benchmarks.search_texts import varied
from tests.support.databases import settings_of
from tests.support.model_server import KEY, ModelServer
from tests.support.vector_stores import a_weaviate, settings_of_weaviate
from tests.workflows.pipeline import history_bytes
from workflows.catalog_embedding import CatalogEmbeddingInput, CatalogEmbeddingWorkflow
from workflows.engine.catalog_runs import TemporalCatalogRuns
from workflows.engine.client import connect
from workflows.engine.process_exit import run_and_leave
from workflows.engine.vector_stores import VectorStores
from workflows.policies import Queue

N: Final = int(os.environ.get("N", "10000"))
EMBEDDER: Final = os.environ.get("EMBEDDER", "openai")


@dataclass(frozen=True, slots=True)
class Run:
    """The result and cost of a run; `events` and `history_kb` describe its history, `peak_mb` is of this process."""

    run: str
    embedded: int
    indexed: int
    seconds: float
    events: int
    history_kb: float
    peak_mb: float


def store(url: str, credentials: list[Credential]) -> None:
    """Insert the credentials as an import does, without embeddings."""
    upgrade(settings_of(url))
    columns = "id, key, title, description, skills, level, hours, provider, source_uri, prerequisites, version"
    with (
        psycopg.connect(url.replace("+psycopg", "")) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY credential_catalog ({columns}, text_hash) FROM STDIN") as copy,
    ):
        for each in credentials:
            values = [getattr(each, name) for name in columns.split(", ")]
            values[4], values[9] = list(each.skills), [str(id_) for id_ in each.prerequisites]
            copy.write_row([*values, content_hash(credential_text(each))])


@asynccontextmanager
async def workers(client: Client, stores: VectorStores, embedder: Embedder) -> AsyncIterator[None]:
    steps = stores.embedding((embedder,))
    activities: list[Callable[..., object]] = [
        steps.embed_texts,
        steps.mend_index,
        steps.begin_build,
        steps.fill_build,
        steps.publish_build,
    ]
    interceptors = [HeartbeatInterceptor(), FailureInterceptor()]
    async with (
        Worker(client, task_queue=Queue.ASSESSMENTS, workflows=[CatalogEmbeddingWorkflow]),
        Worker(client, task_queue=Queue.EMBEDDINGS, activities=activities, interceptors=interceptors),
    ):
        yield


async def one_run(client: Client, name: str, *, rebuild: bool) -> Run:
    started = time.perf_counter()
    handle = await client.start_workflow(
        CatalogEmbeddingWorkflow.run, CatalogEmbeddingInput(rebuild=rebuild), id=name, task_queue=Queue.ASSESSMENTS
    )
    done = await handle.result()
    seconds = time.perf_counter() - started
    events = len((await handle.fetch_history()).events)
    kilobytes = len(await history_bytes(handle)) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Run(name, done.embedded, done.indexed, seconds, events, kilobytes, peak)


async def run(url: str, weaviate: dict[str, str], provider: ModelServer) -> list[Run]:
    engine, client = create_engine(settings_of(url)), await connect()
    stores = VectorStores(engine, settings_of_weaviate(weaviate), TemporalCatalogRuns(client))
    minilm = MiniLMEmbedder(MiniLMSettings())
    settings = OpenAIEmbeddingSettings.model_validate({"api_key": KEY, "base_url": provider.base_url})
    openai = OpenAIEmbedder(settings, SqlEmbeddingLedger(engine))
    async with workers(client, stores, openai if EMBEDDER == "openai" else minilm):
        runs = [await one_run(client, name, rebuild=name == "rebuild") for name in ("embed and build", "rebuild")]
    await openai.close()
    minilm.close()
    await stores.close()
    await engine.dispose()
    return runs


def main() -> int:
    report.say(f"catalogue: {N} credentials, embedded by {EMBEDDER}")
    with tempfile.TemporaryDirectory(prefix="microcred-catalogue-") as directory, ExitStack() as running:
        path = Path(directory)
        postgres = running.enter_context(EmbeddedPostgres(path / "postgres", free_port(), durable=False))
        temporal = running.enter_context(TemporalDevServer(None, free_port(), None, log=path / "temporal.log"))
        os.environ |= {"TEMPORAL_ADDRESS": temporal.address, "TEMPORAL_NAMESPACE": NAMESPACE}
        weaviate = running.enter_context(a_weaviate(path))
        provider = running.enter_context(ModelServer())
        store(postgres.url, varied(N))
        runs = asyncio.run(run(postgres.url, weaviate.client_environment, provider))
    columns = ["run", "embedded", "indexed", "s", "events", "history KB", "peak MB"]
    report.say("\n" + report.table(columns, [list(asdict(each).values()) for each in runs]))
    figures = {"n": N, "embedder": EMBEDDER, "runs": [asdict(each) for each in runs]}
    report.say(f"\nWritten to {report.write('catalogue', figures)}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
