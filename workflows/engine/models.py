"""Load the models that a worker's activities use. The functions import vendor libraries, so other workers do not."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from activities.adapters.embedding_settings import EmbeddingSettings
from activities.adapters.telemetry.instrumented import InstrumentedEmbedder, InstrumentedEmbeddingLedger
from activities.retrieve_evidence import SearchBackend
from domain.grading.ports import EssayGrader, TextAnalysis
from domain.recommending.ports import CredentialIndex, Embedder, EmbeddingLedger, NearestLearners
from workflows.engine.vector_stores import VectorStores
from workflows.telemetry.tracing import span

if TYPE_CHECKING:
    from activities.adapters.openai.embedder import OpenAIEmbedder
    from activities.adapters.openai.grader import OpenAIEssayGrader


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The models of the `embeddings` queue.

    `embedder` embeds queries, and `index` holds vectors of the same model. `fallback` is the fallback of both.
    `catalogue` lists the embedders of the catalogue; the first has the same model as `embedder`.
    """

    embedder: Embedder
    index: CredentialIndex
    grader: EssayGrader
    nearest: NearestLearners
    catalogue: Sequence[Embedder] = ()
    fallback: SearchBackend | None = None


ModelLoader: TypeAlias = Callable[[VectorStores, AsyncExitStack, TextAnalysis], Awaitable[Models]]
"""A function that loads the models. It gets the stores of their vectors and registers cleanup on the exit stack."""


def load_language_model() -> "OpenAIEssayGrader":
    """Create the client of the language model. The import is local: workers of other queues need no SDK and no key.

    Raises:
        InvalidInput: OPENAI_API_KEY is not set.
    """
    from activities.adapters.openai.grader import OpenAIEssayGrader, OpenAISettings  # noqa: PLC0415

    return OpenAIEssayGrader(OpenAISettings())


def load_openai_embedder(ledger: EmbeddingLedger) -> "OpenAIEmbedder":
    """Create the OpenAI embedder. The import is local: a worker that uses MiniLM only does not load the SDK.

    Raises:
        InvalidInput: OPENAI_API_KEY is not set.
    """
    from activities.adapters.openai.embedder import OpenAIEmbedder, OpenAIEmbeddingSettings  # noqa: PLC0415

    return OpenAIEmbedder(OpenAIEmbeddingSettings(), InstrumentedEmbeddingLedger(ledger))


async def load_models(stores: VectorStores, resources: AsyncExitStack, analysis: TextAnalysis) -> Models:
    """Load MiniLM (takes seconds) and build the models on it. Imports are local: other workers load no model.

    The local grader uses MiniLM also if OpenAI embeds the catalogue, because MiniLM costs nothing per essay.

    Raises:
        InvalidInput: OpenAI is configured to embed the catalogue, and OPENAI_API_KEY is not set.
    """
    from activities.adapters.caching import CachingEmbedder, CachingLongTextEmbedder  # noqa: PLC0415
    from activities.adapters.knn import KnnNearestLearners  # noqa: PLC0415
    from activities.adapters.local_grader.grader import LocalEssayGrader  # noqa: PLC0415
    from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings  # noqa: PLC0415

    minilm = MiniLMEmbedder(MiniLMSettings())
    await minilm.warm()
    local = Models(
        embedder=CachingEmbedder(minilm),
        # Only the usual vectors are in every catalogue.
        index=(stores.index if minilm.model == MiniLMEmbedder.model else stores.when_embedded)(
            minilm.provider, minilm.model
        ),
        grader=LocalEssayGrader(CachingLongTextEmbedder(minilm), analysis=analysis, known_words=await minilm.words()),
        nearest=KnnNearestLearners(),
        catalogue=(minilm,),
    )
    if EmbeddingSettings().provider == "minilm":
        return local
    openai = load_openai_embedder(stores.ledger)
    resources.push_async_callback(openai.close)
    measured = InstrumentedEmbedder(openai, span)
    return replace(
        local,
        embedder=CachingEmbedder(measured),
        index=stores.when_embedded(openai.provider, openai.model),
        catalogue=(measured, minilm),
        fallback=SearchBackend(embedder=local.embedder, index=stores.pgvector(minilm.provider, minilm.model)),
    )
