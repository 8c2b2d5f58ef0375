"""The worker's composition root: `python worker.py [--queues assessments,embeddings]`."""

import argparse
import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import Worker

from activities.adapters.telemetry.instrumented import InstrumentedModel, InstrumentedSender
from activities.adapters.telemetry.metrics import BUCKETS
from activities.adapters.text_process import ProcessAnalysis
from activities.adapters.webhooks.sender import HttpWebhookSender, WebhookSettings
from activities.score_essay import ScoreEssay
from domain.database import Database
from domain.grading.ports import TextAnalysis
from persistence.database import DatabaseSettings, Engine, create_engine
from persistence.encryption import EncryptionSettings
from persistence.repositories.retention import RetentionSettings
from persistence.unit_of_work import SqlDatabase
from persistence.vectors.weaviate_settings import WeaviateSettings
from workflows.engine.assessment_runs import TemporalAssessmentRuns
from workflows.engine.calls import SWEEP_DEADLINE_S
from workflows.engine.catalog_runs import TemporalCatalogRuns
from workflows.engine.client import connect_when_available
from workflows.engine.models import ModelLoader, load_language_model, load_models
from workflows.engine.namespace import provision, watch
from workflows.engine.process_exit import run_and_leave
from workflows.engine.vector_stores import VectorStores
from workflows.engine.watchdog import watch_event_loop
from workflows.engine.worker_settings import EssaySettings, WorkerSettings
from workflows.engine.workers import assessments_worker, embeddings_worker, llm_worker, webhooks_worker
from workflows.policies import Queue
from workflows.telemetry.logs import configure_logging
from workflows.telemetry.tracing import span, start_tracing, stop_tracing, tracing_is_on
from workflows.telemetry.worker_metrics import metrics_runtime

log = structlog.get_logger("worker")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """What the workers of one process share; `resources` are closed when it ends."""

    settings: WorkerSettings
    essays: EssaySettings
    client: Client
    engine: Engine
    database: Database
    analysis: TextAnalysis
    load: ModelLoader
    resources: AsyncExitStack


async def _assessments(process: _Process) -> Worker:
    sweep_every = timedelta(seconds=process.settings.reconcile_every_s)
    await provision(process.client, sweep_every)
    process.resources.callback(asyncio.create_task(watch(process.client, sweep_every)).cancel)
    return assessments_worker(
        process.client,
        process.database,
        TemporalAssessmentRuns(process.client, deadline_s=SWEEP_DEADLINE_S, breaks=False),
        process.settings,
        by_model=process.essays.by_model,
        retention_days=RetentionSettings().days,
        analysis=process.analysis,
    )


async def _llm(process: _Process) -> Worker:
    """Build the worker even without a model: runs that started while there was one must not wait for it."""
    model = load_language_model() if process.essays.by_model else None
    if model:
        process.resources.push_async_callback(model.close)
    measured = InstrumentedModel(model, span) if model else None
    score_essay = ScoreEssay(process.database, measured, process.essays.grading, process.analysis)
    return llm_worker(process.client, score_essay, process.settings)


async def _embeddings(process: _Process) -> Worker:
    stores = VectorStores(process.engine, WeaviateSettings(), TemporalCatalogRuns(process.client, breaks=False))
    process.resources.push_async_callback(stores.close)
    models = await process.load(stores, process.resources, process.analysis)
    catalog = stores.embedding(models.catalogue) if models.catalogue else None
    return embeddings_worker(
        process.client, process.database, models, process.settings, catalog=catalog, analysis=process.analysis
    )


async def _webhooks(process: _Process) -> Worker:
    sender = HttpWebhookSender(WebhookSettings(), EncryptionSettings().cipher().decrypt)
    process.resources.push_async_callback(sender.aclose)
    return webhooks_worker(process.client, process.database, InstrumentedSender(sender, span), process.settings)


_BUILDERS: Final[Mapping[Queue, Callable[[_Process], Awaitable[Worker]]]] = {
    Queue.ASSESSMENTS: _assessments,
    Queue.LLM: _llm,
    Queue.EMBEDDINGS: _embeddings,
    Queue.WEBHOOKS: _webhooks,
}


async def serve(queues: Collection[Queue], settings: WorkerSettings, load: ModelLoader) -> None:
    """Run the queues' workers until SIGTERM or SIGINT, then let running activities finish."""
    essays = EssaySettings()
    stop = _stop_signal()
    watch_event_loop()
    client = await _unless(stop, connect_when_available(metrics_runtime(settings.metrics_address, BUCKETS)))
    if client is None:
        return
    engine = create_engine(DatabaseSettings(application_name="microcred-worker"))
    if tracing_is_on():
        from persistence.statement_spans import trace_statements  # noqa: PLC0415  # imports OpenTelemetry

        trace_statements(engine)
    try:
        async with AsyncExitStack() as resources:
            analysis = ProcessAnalysis()
            resources.callback(analysis.close)
            process = _Process(
                settings=settings,
                essays=essays,
                client=client,
                engine=engine,
                database=SqlDatabase(engine, all_organizations=settings.knn_scope == "all"),
                analysis=analysis,
                load=load,
                resources=resources,
            )
            workers = [
                await resources.enter_async_context(await build(process))
                for queue, build in _BUILDERS.items()
                if queue in queues
            ]
            # Later full collections, which pause all workflows, skip the modules and models that are loaded by now.
            gc.collect()
            gc.freeze()
            log.info("worker_ready", queues=sorted(queues))
            await stop.wait()
            log.info("worker_stopping")
            # All at once: in sequence, each queue could need another `grace_s`.
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    finally:
        await engine.dispose()


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, Result]) -> Result | None:
    """Return the result of `work`, or cancel it and return None once `stop` is set."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return task.result()
    task.cancel()
    return None


def _stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", default=",".join(Queue), help="comma-separated, default all: %(default)s")
    try:
        queues = {Queue(name) for name in parser.parse_args().queues.split(",")}
    except ValueError as error:
        parser.error(str(error))
    configure_logging("worker")
    start_tracing("worker")
    try:
        uvloop.run(serve(queues, WorkerSettings(), load_models))
    finally:
        stop_tracing()
    return 0


if __name__ == "__main__":
    run_and_leave(main)
