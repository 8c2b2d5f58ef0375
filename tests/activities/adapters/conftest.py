from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import pytest

from activities.adapters.local_grader.grader import LocalEssayGrader
from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.adapters.minilm.runtimes import RuntimeName
from activities.adapters.openai.embedder import OpenAIEmbedder, OpenAIEmbeddingSettings
from activities.adapters.openai.grader import OpenAIEssayGrader, OpenAISettings
from activities.adapters.webhooks.sender import HttpWebhookSender, WebhookSettings
from tests.activities.adapters.webhook_messages import SOON
from tests.support.fake_search import FakeEmbedder, RecordingLedger
from tests.support.model_server import KEY, ModelServer
from tests.support.partners import CIPHER, Partner
from tests.support.runtimes import skip_unless_installed

GraderOf: TypeAlias = Callable[..., OpenAIEssayGrader]
EmbedderOf: TypeAlias = Callable[..., OpenAIEmbedder]
MiniLMBy: TypeAlias = Callable[[RuntimeName], MiniLMEmbedder]


@pytest.fixture
def local() -> LocalEssayGrader:
    """A local grader with a fake embedding model."""
    return LocalEssayGrader(FakeEmbedder())


@pytest.fixture(scope="session")
async def minilm() -> AsyncIterator[MiniLMEmbedder]:
    """The real model, loaded once per test run."""
    embedder = MiniLMEmbedder(MiniLMSettings())
    yield embedder
    embedder.close()


@pytest.fixture(scope="session")
def minilm_by() -> Iterator[MiniLMBy]:
    """The real model, loaded once per test run into each runtime that is installed."""
    made: dict[RuntimeName, MiniLMEmbedder] = {}

    def make(name: RuntimeName) -> MiniLMEmbedder:
        skip_unless_installed(name)
        if name not in made:
            made[name] = MiniLMEmbedder(MiniLMSettings(runtime=name))
        return made[name]

    yield make
    for each in made.values():
        each.close()


@pytest.fixture(scope="session")
def _model_server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def server(_model_server: ModelServer) -> ModelServer:
    """A model server that returns good answers until a test configures something else."""
    _model_server.reset()
    return _model_server


@pytest.fixture(scope="session")
async def _grader(_model_server: ModelServer) -> AsyncIterator[OpenAIEssayGrader]:
    grader = OpenAIEssayGrader(OpenAISettings(api_key=KEY, base_url=_model_server.base_url, circuit_threshold=100))
    yield grader
    await grader.close()


@pytest.fixture
def grader(server: ModelServer, _grader: OpenAIEssayGrader) -> OpenAIEssayGrader:
    """A shared grader for tests that do not change its state; creating one takes longer than most tests."""
    del server
    return _grader


@pytest.fixture
async def grader_of(server: ModelServer) -> AsyncIterator[GraderOf]:
    """A factory of graders with other settings; they are closed after the test."""
    made: list[OpenAIEssayGrader] = []

    def make(**changes: Any) -> OpenAIEssayGrader:
        made.append(OpenAIEssayGrader(OpenAISettings(**{"api_key": KEY, "base_url": server.base_url} | changes)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def ledger() -> RecordingLedger:
    return RecordingLedger()


@pytest.fixture
async def embedder_of(server: ModelServer, ledger: RecordingLedger) -> AsyncIterator[EmbedderOf]:
    """A factory of paid embedders that record costs in `ledger`; they are closed after the test."""
    made: list[OpenAIEmbedder] = []

    def make(**changes: Any) -> OpenAIEmbedder:
        settings = OpenAIEmbeddingSettings(**{"api_key": KEY, "base_url": server.base_url} | changes)
        made.append(OpenAIEmbedder(settings, ledger))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
async def partner() -> AsyncIterator[Partner]:
    """A receiver of webhooks."""
    async with Partner() as partner:
        yield partner


@pytest.fixture
async def sender() -> AsyncIterator[HttpWebhookSender]:
    sender = HttpWebhookSender(WebhookSettings(allow_loopback=True, microcred_env="development"), CIPHER.decrypt)
    yield sender
    await sender.aclose()


@pytest.fixture
async def hasty() -> AsyncIterator[HttpWebhookSender]:
    """A sender with a time limit that is short enough for tests."""
    sender = HttpWebhookSender(SOON, CIPHER.decrypt)
    yield sender
    await sender.aclose()
