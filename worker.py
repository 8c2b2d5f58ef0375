"""The worker's composition root: `python worker.py [--queues assessments,embeddings]`."""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Literal, TypeAlias, TypedDict

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from temporalio.client import Client
from temporalio.worker import Interceptor, PollerBehaviorAutoscaling, Worker

from activities.blend_recommendations import BlendRecommendations
from activities.claim_assessment import ClaimAssessment
from activities.failures import FailureInterceptor
from activities.heartbeats import HeartbeatInterceptor
from activities.mark_failed import MarkFailed
from activities.publish_result import PublishResult
from activities.reconcile import Reconcile
from activities.retrieve_evidence import RetrieveEvidence
from activities.score_essays_locally import ScoreEssaysLocally
from activities.score_rules import ScoreRules
from domain.ports import AssessmentRuns, CredentialIndex, Embedder, EssayGrader, NearestLearners, UnitOfWorkFactory
from persistence.engine import DatabaseSettings, create_engine
from persistence.unit_of_work import unit_of_work_factory
from persistence.vectors.pgvector import PgVectorIndex
from workflows import search_attributes
from workflows.assessment import AssessmentWorkflow
from workflows.client import connect
from workflows.logs import configure_logging
from workflows.policies import Queue
from workflows.process_exit import run_and_leave
from workflows.reconciliation import ReconciliationWorkflow
from workflows.runs import TemporalAssessmentRuns
from workflows.schedules import ensure_reconciliation

log = structlog.get_logger("worker")


class WorkerSettings(BaseSettings):
    """`WORKER_…`: slots are activities at a time, `reconcile_every_s` is how often lost work is looked for.

    `KNN_SCOPE=all` lets learners of other organizations be neighbours.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="WORKER_", extra="ignore")

    knn_scope: Literal["organization", "all"] = Field(default="organization", validation_alias="KNN_SCOPE")

    reconcile_every_s: int = 60
    assessments_slots: int = 32
    embeddings_slots: int = 8
    grace_s: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What only the `embeddings` queue needs."""

    embedder: Embedder
    index: CredentialIndex
    grader: EssayGrader
    nearest: NearestLearners


class _Options(TypedDict):
    """What all workers share."""

    interceptors: Sequence[Interceptor]
    max_concurrent_activities: int
    workflow_task_poller_behavior: PollerBehaviorAutoscaling
    activity_task_poller_behavior: PollerBehaviorAutoscaling
    graceful_shutdown_timeout: timedelta


IndexOf: TypeAlias = Callable[[str, str], CredentialIndex]
"""The index of the vectors that a provider's model made."""

ModelLoader: TypeAlias = Callable[[IndexOf], Awaitable[Models]]


def assessments_worker(
    client: Client,
    units: UnitOfWorkFactory,
    runs: AssessmentRuns,
    settings: WorkerSettings,
    queue: str = Queue.ASSESSMENTS,
) -> Worker:
    """Workflows and the activities that need Postgres only."""
    return Worker(
        client,
        task_queue=queue,
        workflows=[AssessmentWorkflow, ReconciliationWorkflow],
        activities=[
            ClaimAssessment(units).claim_assessment,
            ScoreRules(units).score_rules,
            PublishResult(units).publish_result,
            MarkFailed(units).mark_failed,
            Reconcile(units, runs).reconcile,
        ],
        **_options(settings, settings.assessments_slots),
    )


def embeddings_worker(
    client: Client,
    units: UnitOfWorkFactory,
    models: Models,
    settings: WorkerSettings,
    queue: str = Queue.EMBEDDINGS,
) -> Worker:
    """The activities that need a model in memory."""
    return Worker(
        client,
        task_queue=queue,
        activities=[
            ScoreEssaysLocally(units, models.grader).score_essays_locally,
            RetrieveEvidence(units, models.embedder, models.index).retrieve_evidence,
            BlendRecommendations(units, models.nearest).blend_recommendations,
        ],
        **_options(settings, settings.embeddings_slots),
    )


def _options(settings: WorkerSettings, slots: int) -> _Options:
    return _Options(
        interceptors=[HeartbeatInterceptor(), FailureInterceptor()],
        max_concurrent_activities=slots,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        graceful_shutdown_timeout=timedelta(seconds=settings.grace_s),
    )


async def serve(queues: Collection[Queue], settings: WorkerSettings, load: ModelLoader) -> None:
    """Runs the queues' workers until SIGTERM or SIGINT, then lets what they hold finish."""
    client = await connect()
    await search_attributes.register(client)
    engine = create_engine(DatabaseSettings(application_name="microcred-worker"))
    units = unit_of_work_factory(engine, all_organizations=settings.knn_scope == "all")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with AsyncExitStack() as running:
            if Queue.ASSESSMENTS in queues:
                await ensure_reconciliation(client, timedelta(seconds=settings.reconcile_every_s))
                runs = TemporalAssessmentRuns(client)
                await running.enter_async_context(assessments_worker(client, units, runs, settings))
            if Queue.EMBEDDINGS in queues:
                models = await load(partial(PgVectorIndex, engine))
                await running.enter_async_context(embeddings_worker(client, units, models, settings))
            log.info("worker_ready", queues=sorted(queues))
            await stop.wait()
            log.info("worker_stopping")
    finally:
        await engine.dispose()


async def load_models(index: IndexOf) -> Models:
    """MiniLM in memory (seconds) and what is built on it; imported here, so that other workers need no torch."""
    from activities.adapters.knn import KnnNearestLearners  # noqa: PLC0415
    from activities.adapters.local_grader import LocalEssayGrader  # noqa: PLC0415
    from activities.adapters.minilm import MiniLMEmbedder, MiniLMSettings  # noqa: PLC0415
    from activities.adapters.remembering import RememberingEmbedder  # noqa: PLC0415

    embedder = MiniLMEmbedder(MiniLMSettings())
    await embedder.warm()
    return Models(
        embedder=RememberingEmbedder(embedder),
        index=index(embedder.provider, embedder.model),
        grader=LocalEssayGrader(embedder),
        nearest=KnnNearestLearners(),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", default=",".join(Queue), help="comma-separated, default all: %(default)s")
    try:
        queues = {Queue(name) for name in parser.parse_args().queues.split(",")}
    except ValueError as error:
        parser.error(str(error))
    configure_logging("worker")
    asyncio.run(serve(queues, WorkerSettings(), load_models))
    return 0


if __name__ == "__main__":
    run_and_leave(main)
