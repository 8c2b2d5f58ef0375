"""The real worker without its models: what the pipeline costs apart from MiniLM. The ports' fakes stand in."""

import asyncio
from contextlib import AsyncExitStack

from domain.grading.ports import TextAnalysis
from tests.support.fakes import FakeEmbedder, FakeEssayGrader, FakeNearestLearners
from worker import serve
from workflows.engine.models import Models
from workflows.engine.process_exit import leave
from workflows.engine.vector_stores import VectorStores
from workflows.engine.worker_settings import WorkerSettings
from workflows.policies import Queue


class StandIn(FakeEmbedder):
    """Searches the vectors that MiniLM made."""

    provider = "sentence-transformers"
    model = "all-MiniLM-L6-v2"


async def stand_ins(stores: VectorStores, running: AsyncExitStack, analysis: TextAnalysis) -> Models:
    del running, analysis
    return Models(
        embedder=StandIn(),
        index=stores.index(StandIn.provider, StandIn.model),
        grader=FakeEssayGrader(),
        nearest=FakeNearestLearners(),
        catalogue=(StandIn(),),
    )


if __name__ == "__main__":
    asyncio.run(serve(set(Queue), WorkerSettings(), stand_ins))
    leave(0)
