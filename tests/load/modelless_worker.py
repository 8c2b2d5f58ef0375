"""The real worker without its models: what the pipeline costs apart from MiniLM. The ports' fakes stand in."""

import asyncio
import signal

import structlog

from persistence.engine import DatabaseSettings, create_engine
from persistence.unit_of_work import unit_of_work_factory
from persistence.vectors.pgvector import PgVectorIndex
from tests.fakes import FakeEmbedder, FakeEssayGrader, FakeNearestLearners
from worker import Models, WorkerSettings, assessments_worker, embeddings_worker
from workflows import search_attributes
from workflows.client import connect
from workflows.process_exit import leave
from workflows.runs import TemporalAssessmentRuns


class StandIn(FakeEmbedder):
    """Searches the vectors that MiniLM made."""

    provider = "sentence-transformers"
    model = "all-MiniLM-L6-v2"


async def main() -> None:
    client, settings = await connect(), WorkerSettings()
    await search_attributes.register(client)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine = create_engine(DatabaseSettings())
    units = unit_of_work_factory(engine)
    embedder = StandIn()
    models = Models(
        embedder=embedder,
        index=PgVectorIndex(engine, embedder.provider, embedder.model),
        grader=FakeEssayGrader(),
        nearest=FakeNearestLearners(),
    )
    async with (
        assessments_worker(client, units, TemporalAssessmentRuns(client), settings),
        embeddings_worker(client, units, models, settings),
    ):
        structlog.get_logger().info("worker_ready")
        await stop.wait()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
