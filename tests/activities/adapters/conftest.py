from collections.abc import AsyncIterator

import pytest

from activities.adapters.minilm import MiniLMEmbedder, MiniLMSettings


@pytest.fixture(scope="session")
async def minilm() -> AsyncIterator[MiniLMEmbedder]:
    """The real model, loaded once a run."""
    embedder = MiniLMEmbedder(MiniLMSettings())
    yield embedder
    embedder.close()
