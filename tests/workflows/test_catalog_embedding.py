"""`CatalogEmbeddingWorkflow` on a real server: it embeds all texts, synchronizes the index, and misses no change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy
from temporalio.worker import Worker

from activities.catalog_embedding import CatalogEmbedding, EmbedInput
from activities.failures import FailureInterceptor
from activities.heartbeats import HeartbeatInterceptor
from activities.index_catalog import CatalogIndex, IndexDiff
from domain.errors import ExternalServiceError, ModelCircuitOpen, ModelKeyRefused, ModelTimeout
from domain.recommending.ports import CatalogText, Embedder
from tests.domain.builders import an_id
from tests.support.fake_search import FakeEmbedder, InMemoryEmbeddingArtifacts, InMemoryIndexWriter
from tests.workflows.pipeline import history_bytes
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import PATIENCE_S
from workflows.catalog_embedding import (
    BATCH,
    ROUNDS_PER_RUN,
    CatalogEmbedded,
    CatalogEmbeddingInput,
    CatalogEmbeddingWorkflow,
)
from workflows.engine.catalog_runs import WORKFLOW_ID, TemporalCatalogRuns
from workflows.engine.schedules import ensure_catalog_embedding
from workflows.policies import Queue

MARKER = "xylophone"


def a_text(number: int) -> CatalogText:
    return CatalogText(credential_id=an_id(f"c{number}"), text=f"{MARKER} {number}", text_hash=f"{number:064}")


@dataclass
class Catalogue:
    """A catalogue with its index, and workers on a unique queue."""

    client: Client
    artifacts: InMemoryEmbeddingArtifacts
    writer: InMemoryIndexWriter | None = field(default_factory=InMemoryIndexWriter)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    standbys: tuple[Embedder, ...] = ()
    suffix: str = field(default_factory=lambda: f"-{uuid4()}")

    @property
    def embedders(self) -> tuple[Embedder, ...]:
        return (self.embedder, *self.standbys)

    @property
    def queue(self) -> str:
        return Queue.ASSESSMENTS + self.suffix

    @asynccontextmanager
    async def workers(self) -> AsyncIterator[None]:
        steps = CatalogEmbedding(self.artifacts, self.embedders, self._index())
        activities: list[Callable[..., Any]] = [
            steps.embed_texts,
            steps.mend_index,
            steps.begin_build,
            steps.fill_build,
            steps.publish_build,
        ]
        interceptors = [HeartbeatInterceptor(), FailureInterceptor()]
        async with (
            Worker(self.client, task_queue=self.queue, workflows=[CatalogEmbeddingWorkflow], workflow_runner=STRICT),
            Worker(
                self.client,
                task_queue=Queue.EMBEDDINGS + self.suffix,
                activities=activities,
                interceptors=interceptors,
            ),
        ):
            yield

    def _index(self) -> CatalogIndex | None:
        provider, model = self.embedder.provider, self.embedder.model
        if self.writer is None:
            return None
        return CatalogIndex(artifacts=self.artifacts, writer=self.writer, provider=provider, model=model)

    async def run(self, *, rebuild: bool = False) -> CatalogEmbedded:
        async with self.workers(), asyncio.timeout(PATIENCE_S):
            return await self.client.execute_workflow(
                CatalogEmbeddingWorkflow.run,
                CatalogEmbeddingInput(rebuild=rebuild),
                id=f"catalog-embedding{self.suffix}",
                task_queue=self.queue,
            )

    async def is_equal(self) -> bool:
        assert self.writer
        wanted = await self.artifacts.searchable(self.embedder.provider, self.embedder.model)
        return await self.writer.entries() == wanted and len(wanted) == len(self.artifacts.texts)


@pytest.fixture
def catalogue(temporal_client: Client) -> Catalogue:
    return Catalogue(temporal_client, InMemoryEmbeddingArtifacts([a_text(number) for number in range(10)]))


async def test_the_first_run_embeds_all_and_builds_the_index(catalogue: Catalogue) -> None:
    result = await catalogue.run()

    assert result == CatalogEmbedded(embedded=10, drift=IndexDiff(), indexed=10)
    assert await catalogue.is_equal()


async def test_a_later_run_embeds_new_texts_and_synchronizes_the_index(catalogue: Catalogue) -> None:
    await catalogue.run()
    catalogue.artifacts.texts = [*catalogue.artifacts.texts[2:], a_text(20)]

    result = await catalogue.run()

    assert result == CatalogEmbedded(embedded=1, drift=IndexDiff(missing=1, extra=2, indexed=9), indexed=9)
    assert await catalogue.is_equal()


async def test_a_rebuild_reports_the_difference_that_it_found(catalogue: Catalogue) -> None:
    await catalogue.run()
    assert catalogue.writer
    await catalogue.writer.delete([an_id("c1")])

    result = await catalogue.run(rebuild=True)

    assert result.drift.missing == 1
    assert await catalogue.is_equal()


async def test_without_a_second_store_the_texts_are_embedded(catalogue: Catalogue) -> None:
    catalogue.writer = None

    assert await catalogue.run(rebuild=True) == CatalogEmbedded(embedded=10, drift=IndexDiff(), indexed=0)


async def test_many_texts_are_embedded_in_steps(catalogue: Catalogue) -> None:
    catalogue.artifacts.texts = [a_text(number) for number in range(BATCH + 1)]

    assert (await catalogue.run()).embedded == BATCH + 1


class VanishingWriter(InMemoryIndexWriter):
    """Its first build is gone before it is filled."""

    async def begin(self) -> str:
        build = await super().begin()
        if build == "build 1":
            del self.indexes[build]
        return build


async def test_a_lost_build_is_started_again(catalogue: Catalogue) -> None:
    catalogue.writer = VanishingWriter()

    await catalogue.run()

    assert await catalogue.is_equal()


class InterruptedEmbedder(FakeEmbedder):
    """Fails once, after the first batch."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if len(self.batches) == 1:
            self.batches.append(0)
            raise ExternalServiceError("The model is gone")
        return await super().embed(texts)


async def test_a_repeated_step_embeds_only_the_remaining_texts(catalogue: Catalogue) -> None:
    catalogue.artifacts.texts = [a_text(number) for number in range(100)]
    catalogue.embedder = InterruptedEmbedder()

    await catalogue.run()

    assert catalogue.embedder.batches == [64, 0, 36]
    assert await catalogue.is_equal()


class AwayForAWhile(FakeEmbedder):
    """A provider that fails with a permanent error at first and works later."""

    provider = "openai"

    def __init__(self, *refusals: ExternalServiceError) -> None:
        super().__init__()
        self.refusals = list(refusals)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.refusals:
            raise self.refusals.pop()
        return await super().embed(texts)


async def test_embedding_waits_for_a_failing_provider(catalogue: Catalogue) -> None:
    catalogue.embedder = AwayForAWhile(
        ModelKeyRefused("Set a valid key"), ModelCircuitOpen("Left alone", retry_after_s=0.1), ModelTimeout("Slow")
    )

    assert (await catalogue.run()).embedded == 10
    assert await catalogue.is_equal()


async def test_a_standby_embeds_the_catalogue_too_and_the_index_holds_the_first_ones_vectors(
    catalogue: Catalogue,
) -> None:
    catalogue.embedder, catalogue.standbys = AwayForAWhile(), (FakeEmbedder(),)

    result = await catalogue.run()

    assert (result.embedded, result.indexed) == (20, 10)
    assert len(await catalogue.artifacts.searchable(FakeEmbedder.provider, FakeEmbedder.model)) == 10
    assert await catalogue.is_equal()


async def test_a_standby_does_not_wait_for_the_provider(catalogue: Catalogue) -> None:
    steps = CatalogEmbedding(
        catalogue.artifacts, (AwayForAWhile(ModelKeyRefused("Set a valid key")), FakeEmbedder()), None
    )

    with pytest.raises(ExternalServiceError):
        await steps.embed_texts(EmbedInput(at_most=BATCH))

    assert await catalogue.artifacts.count_pending(FakeEmbedder.provider, FakeEmbedder.model) == 0


class WaitingWriter(InMemoryIndexWriter):
    """Blocks the run at the end of the first round until the test releases it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.release = asyncio.Event(), asyncio.Event()

    async def finish(self, build: str) -> None:
        await super().finish(build)
        self.reached.set()
        await self.release.wait()


async def test_a_run_processes_a_change_that_happens_during_it(catalogue: Catalogue) -> None:
    catalogue.writer = writer = WaitingWriter()
    runs = TemporalCatalogRuns(catalogue.client, catalogue.queue, deadline_s=PATIENCE_S)
    async with catalogue.workers(), asyncio.timeout(PATIENCE_S):
        await runs.start()
        await writer.reached.wait()
        catalogue.artifacts.texts.append(a_text(20))
        await runs.start()
        writer.release.set()

        handle = catalogue.client.get_workflow_handle(WORKFLOW_ID, result_type=CatalogEmbedded)
        result: CatalogEmbedded = await handle.result()

    assert (result.embedded, result.indexed) == (11, 11)
    assert await catalogue.is_equal()


async def test_the_history_holds_numbers_and_no_text(catalogue: Catalogue) -> None:
    await catalogue.run()

    history = await history_bytes(catalogue.client.get_workflow_handle(f"catalog-embedding{catalogue.suffix}"))

    assert MARKER.encode() not in history


async def test_the_history_of_ten_thousand_texts_is_small(catalogue: Catalogue) -> None:
    catalogue.artifacts.texts = [a_text(number) for number in range(10_000)]
    catalogue.writer = None

    result = await catalogue.run()

    handle = catalogue.client.get_workflow_handle(f"catalog-embedding{catalogue.suffix}")
    assert result.embedded == 10_000
    assert len((await handle.fetch_history()).events) < 200
    assert len(await history_bytes(handle)) < 64 * 1024


async def test_a_start_without_a_server_raises_an_error() -> None:
    away = await Client.connect("127.0.0.1:1", lazy=True)

    with pytest.raises(ExternalServiceError):
        await TemporalCatalogRuns(away, deadline_s=0.1).start()


async def test_the_schedule_rebuilds_the_index(temporal_client: Client) -> None:
    await ensure_catalog_embedding(temporal_client, timedelta(days=7), "assessments-nobody")
    handle = temporal_client.get_schedule_handle("catalog-embedding-weekly")
    schedule = (await handle.describe()).schedule
    await handle.delete()

    assert [interval.every for interval in schedule.spec.intervals] == [timedelta(days=7)]
    assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert isinstance(schedule.action, ScheduleActionStartWorkflow)
    assert schedule.action.workflow == "CatalogEmbeddingWorkflow"


class ChangedAtEachRound(InMemoryIndexWriter):
    """Signals a change of the catalogue during each of the first `rounds` rounds."""

    def __init__(self, client: Client, workflow_id: str, rounds: int) -> None:
        super().__init__()
        self.run = client.get_workflow_handle(workflow_id)
        self.left = rounds

    async def is_usable(self, at_least: int) -> bool:
        if self.left:
            self.left -= 1
            await self.run.signal(CatalogEmbeddingWorkflow.changed)
        return await super().is_usable(at_least)


async def test_a_catalogue_that_changes_all_the_time_continues_in_a_new_run(catalogue: Catalogue) -> None:
    run_id = f"catalog-embedding{catalogue.suffix}"
    writer = catalogue.writer = ChangedAtEachRound(catalogue.client, run_id, ROUNDS_PER_RUN)

    await catalogue.run()

    last = await catalogue.client.get_workflow_handle(run_id).describe()
    assert last.raw_description.workflow_execution_info.first_run_id != last.run_id
    assert writer.left == 0
    assert await catalogue.is_equal()
