"""The real worker with fake models, to measure the cost of the pipeline without MiniLM; arguments are queues."""

import asyncio
import sys
from contextlib import AsyncExitStack

from domain.grading.ports import TextAnalysis
from tests.support.fake_graders import FakeEssayGrader
from tests.support.fake_search import FakeEmbedder, FakeNearestLearners
from worker import serve
from workflows.engine.models import Models
from workflows.engine.process_exit import leave
from workflows.engine.vector_stores import VectorStores
from workflows.engine.worker_settings import WorkerSettings
from workflows.policies import Queue


class MiniLMFake(FakeEmbedder):
    """A fake embedder that searches the vectors of MiniLM."""

    provider = "sentence-transformers"
    model = "all-MiniLM-L6-v2"


async def fake_models(stores: VectorStores, running: AsyncExitStack, analysis: TextAnalysis) -> Models:
    del running, analysis
    return Models(
        embedder=MiniLMFake(),
        index=stores.index(MiniLMFake.provider, MiniLMFake.model),
        grader=FakeEssayGrader(),
        nearest=FakeNearestLearners(),
        catalogue=(MiniLMFake(),),
    )


if __name__ == "__main__":
    asyncio.run(serve({Queue(each) for each in sys.argv[1:] or Queue}, WorkerSettings(), fake_models))
    leave(0)
