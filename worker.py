"""The worker's composition root: `python worker.py [--queues assessments,embeddings]`."""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypedDict

import structlog
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Interceptor, PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from activities.adapters.embedding_settings import EmbeddingSettings
from activities.adapters.telemetry.instrumented import (
    InstrumentedEmbedder,
    InstrumentedEmbeddingLedger,
    InstrumentedModel,
    InstrumentedSender,
)
from activities.adapters.telemetry.metrics import BUCKETS, MetricsInterceptor
from activities.adapters.text_process import ProcessAnalysis
from activities.adapters.webhooks.sender import HttpWebhookSender, WebhookSettings
from activities.begin_revision import BeginRevision
from activities.blend_recommendations import BlendRecommendations
from activities.catalog_embedding import CatalogEmbedding
from activities.claim_assessment import ClaimAssessment
from activities.debugging import DebugSettings
from activities.deliver_webhook import DeliverWebhook
from activities.embedded_index import EmbeddedIndex
from activities.end_healing import EndHealing
from activities.endpoint_slots import EndpointConcurrencyLimiter
from activities.erase_user import EraseUser
from activities.failures import FailureInterceptor
from activities.heartbeats import HeartbeatInterceptor
from activities.index_catalog import CatalogIndex
from activities.log_context import LogContextInterceptor
from activities.mark_failed import MarkFailed
from activities.publish_result import PublishResult
from activities.reconcile import Reconcile
from activities.retain import Retain
from activities.retrieve_evidence import RetrieveEvidence, Searched
from activities.score_essay import Grading, ScoreEssay
from activities.score_essays_locally import ScoreEssaysLocally
from activities.score_rules import ScoreRules
from activities.search_catalog import SearchCatalog
from domain.assessments.ports import AssessmentRuns
from domain.database import Database
from domain.grading.ledger import SpendingLimits
from domain.grading.ports import EssayGrader, TextAnalysis
from domain.privacy import RetentionRule
from domain.privacy_ports import ErasureList
from domain.recommending.ports import CatalogRuns, CredentialIndex, Embedder, EmbeddingLedger, NearestLearners
from domain.webhooks.deliveries import WebhookSender
from persistence.database import DatabaseSettings, create_engine
from persistence.encryption import EncryptionSettings
from persistence.erasure_list import ErasureListSettings, FileErasureList
from persistence.repositories.embedding_ledger import SqlEmbeddingLedger
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.repositories.retention import RetentionSettings
from persistence.unit_of_work import SqlDatabase
from persistence.vectors.fallback import FallbackIndex
from persistence.vectors.pgvector import PgVectorIndex
from workflows.assessment import AssessmentWorkflow
from workflows.catalog_embedding import CatalogEmbeddingWorkflow
from workflows.catalog_search import CatalogSearchWorkflow
from workflows.engine.assessment_runs import TemporalAssessmentRuns
from workflows.engine.backlogs import LOCAL_GRADER, worker_identity
from workflows.engine.catalog_runs import TemporalCatalogRuns
from workflows.engine.client import connect
from workflows.engine.delivery_runs import TemporalDeliveryRuns
from workflows.engine.erasure_runs import TemporalErasureRuns
from workflows.engine.failure_reason import FailureReasonInterceptor
from workflows.engine.namespace import provision, watch
from workflows.engine.process_exit import run_and_leave
from workflows.policies import Queue, sibling_queue
from workflows.reconciliation import ReconciliationWorkflow
from workflows.retention import RetentionWorkflow
from workflows.revision import RevisionWorkflow
from workflows.telemetry.logs import configure_logging
from workflows.telemetry.tracing import span, start_tracing, stop_tracing, tracing_is_on
from workflows.telemetry.worker_metrics import metrics_runtime
from workflows.user_erasure import UserErasureWorkflow
from workflows.webhook_delivery import WebhookDeliveryWorkflow

if TYPE_CHECKING:
    from activities.adapters.openai.embedder import OpenAIEmbedder
    from activities.adapters.openai.grader import OpenAIEssayGrader
    from persistence.vectors.weaviate import WeaviateSettings

log = structlog.get_logger("worker")

WORKFLOWS: Final[dict[Queue, tuple[type, ...]]] = {
    Queue.ASSESSMENTS: (
        AssessmentWorkflow,
        RevisionWorkflow,
        ReconciliationWorkflow,
        CatalogEmbeddingWorkflow,
        CatalogSearchWorkflow,
        RetentionWorkflow,
        UserErasureWorkflow,
    ),
    Queue.WEBHOOKS: (WebhookDeliveryWorkflow,),
}
"""Every workflow type, by the queue whose workers run it."""

WORKFLOW_INTERCEPTORS: Final[Sequence[Interceptor]] = (FailureReasonInterceptor(),)
"""What stands around all of them and may ask things of Temporal, so that a replay needs it, too."""


class WorkerSettings(BaseSettings):
    """`WORKER_…`: slots are activities at a time, `reconcile_every_s` is how often lost work is looked for.

    `webhooks_slots_per_endpoint` is how many of the slots one partner's endpoint may hold. `workflow_slots` are
    workflow tasks at a time and `cached_workflows` runs in memory, for each of the two queues that have workflows;
    `pollers` is how many requests for work a queue may have open. `llm_rps` is how many activities a second the
    server gives out on `llm`, to all workers together; none is no limit.

    `KNN_SCOPE=all` lets learners of other organizations be neighbours.

    `WORKER_METRICS_ADDRESS`, such as 0.0.0.0:9464, is where Prometheus scrapes this process; none serves no metrics.

    With a `build_id` the worker is a version of the deployment and takes no task before a rollout gives it some.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="WORKER_", env_ignore_empty=True, extra="ignore")

    knn_scope: Literal["organization", "all"] = Field(default="organization", validation_alias="KNN_SCOPE")

    reconcile_every_s: int = 60
    llm_rps: float | None = Field(default=None, gt=0)
    workflow_slots: int = Field(default=100, ge=2)
    cached_workflows: int = Field(default=1000, ge=0)
    pollers: int = Field(default=100, ge=5)
    assessments_slots: int = 32
    llm_slots: int = 40
    embeddings_slots: int = 8
    webhooks_slots: int = 100
    webhooks_slots_per_endpoint: int = 10
    grace_s: int = 20
    metrics_address: str | None = Field(default=None, pattern=r"^(\[[0-9a-fA-F:]+\]|[\d.]+):\d+$")
    build_id: str | None = None
    deployment_name: str = "microcred"

    @property
    def deployment(self) -> WorkerDeploymentConfig | None:
        """Without a default behaviour: a workflow that `policies.VERSIONING` forgets stops the start."""
        if self.build_id is None:
            return None
        version = WorkerDeploymentVersion(deployment_name=self.deployment_name, build_id=self.build_id)
        return WorkerDeploymentConfig(version=version, use_worker_versioning=True)


class EssaySettings(BaseSettings):
    """`ESSAY_…`: who grades essays, how often each is asked for, and what may be bought.

    `ESSAY_GRADER=auto` is the language model where `OPENAI_API_KEY` is set and the local grader otherwise; workers
    without the key that share a deployment with some that have it need `openai`. `ESSAY_SAMPLES`: answers an essay.
    `ESSAY_ATTEMPTS_PER_DAY`: bought assessments a student, role and UTC day. `ESSAY_BUDGET_CENTS_PER_DAY`: of an
    organization; none is no limit.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="ESSAY_", env_ignore_empty=True, extra="ignore")

    grader: Literal["auto", "openai", "local"] = "auto"
    samples: int = Field(default=1, ge=1, le=9)
    attempts_per_day: int | None = Field(default=3, ge=1)
    budget_cents_per_day: Decimal | None = Field(default=None, gt=0)
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")

    @property
    def by_model(self) -> bool:
        key = self.openai_api_key.get_secret_value().strip() if self.openai_api_key else ""
        return self.grader == "openai" or (self.grader == "auto" and bool(key))

    @property
    def grading(self) -> Grading:
        limits = SpendingLimits(attempts_per_day=self.attempts_per_day, budget_cents_per_day=self.budget_cents_per_day)
        return Grading(samples=self.samples, limits=limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What only the `embeddings` queue needs.

    `embedder` is for queries, and its vectors are in `index`; `standby` searches where it cannot. `catalogue` are those
    that embed the catalogue, the one for queries first.
    """

    embedder: Embedder
    index: CredentialIndex
    grader: EssayGrader
    nearest: NearestLearners
    catalogue: Sequence[Embedder] = ()
    standby: Searched | None = None


class _Options(TypedDict):
    """What all workers share."""

    interceptors: Sequence[Interceptor]
    max_concurrent_activities: int
    max_concurrent_workflow_tasks: int
    max_cached_workflows: int
    workflow_task_poller_behavior: PollerBehaviorAutoscaling
    activity_task_poller_behavior: PollerBehaviorAutoscaling
    graceful_shutdown_timeout: timedelta
    deployment_config: WorkerDeploymentConfig | None


ModelLoader: TypeAlias = "Callable[[VectorStores, AsyncExitStack, TextAnalysis], Awaitable[Models]]"
"""Makes the models over the stores of their vectors; what must be closed goes on the stack."""


def assessments_worker(  # noqa: PLR0913  # what the activities need
    client: Client,
    database: Database,
    runs: AssessmentRuns,
    settings: WorkerSettings,
    queue: str = Queue.ASSESSMENTS,
    *,
    by_model: bool = False,
    erased: ErasureList | None = None,
    kept_days: Mapping[RetentionRule, int] | None = None,
) -> Worker:
    """Workflows and the activities that need Postgres only; `by_model`: essays go to the `llm` queue first.

    `erased` is the list of the settings unless given; `kept_days` is how long what is kept, for ever where not given.
    """
    erasure_runs = TemporalErasureRuns(client, queue)
    erase = EraseUser(database, erasure_runs, erased or FileErasureList(ErasureListSettings().erasure_list))
    delivery_runs = TemporalDeliveryRuns(client, sibling_queue(queue, Queue.WEBHOOKS))
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS[Queue.ASSESSMENTS],
        activities=[
            ClaimAssessment(database, by_model=by_model).claim_assessment,
            BeginRevision(database).begin_revision,
            EndHealing(database).end_healing,
            ScoreRules(database).score_rules,
            PublishResult(database).publish_result,
            MarkFailed(database).mark_failed,
            Reconcile(database, runs, delivery_runs, erasure_runs, TemporalCatalogRuns(client, queue)).reconcile,
            erase.stop_runs,
            erase.erase_records,
            erase.finish_erasure,
            Retain(database, kept_days or {}).retain,
        ],
        **_options(settings, settings.assessments_slots),
    )


def llm_worker(client: Client, essays: ScoreEssay, settings: WorkerSettings, queue: str = Queue.LLM) -> Worker:
    """The calls of a language model, and nothing else: the server-side rate limit sits on this queue.

    The server keeps the limit that a worker names with each request for work, so that one which lost its data is told
    again; an operator's `temporal task-queue config set` goes before it.
    """
    return Worker(
        client,
        task_queue=queue,
        activities=[essays.score_essay],
        identity=worker_identity(essays.model_name or LOCAL_GRADER),
        max_task_queue_activities_per_second=settings.llm_rps,
        **_options(settings, settings.llm_slots),
    )


def embeddings_worker(  # noqa: PLR0913  # what the activities need
    client: Client,
    database: Database,
    models: Models,
    settings: WorkerSettings,
    queue: str = Queue.EMBEDDINGS,
    *,
    catalog: CatalogEmbedding | None = None,
) -> Worker:
    """The activities that need a model in memory; those about the whole catalogue where `catalog` is given."""
    searched = Searched(embedder=models.embedder, index=models.index)
    return Worker(
        client,
        task_queue=queue,
        activities=[
            ScoreEssaysLocally(database, models.grader).score_essays_locally,
            RetrieveEvidence(database, models.embedder, models.index, models.standby).retrieve_evidence,
            SearchCatalog(database, searched, models.standby).search_catalog,
            BlendRecommendations(database, models.nearest).blend_recommendations,
            *(_steps_of(catalog) if catalog else ()),
        ],
        **_options(settings, settings.embeddings_slots),
    )


def webhooks_worker(
    client: Client,
    database: Database,
    sender: WebhookSender,
    settings: WorkerSettings,
    queue: str = Queue.WEBHOOKS,
) -> Worker:
    """Deliveries to partners, workflows and requests: their slowness stays here."""
    deliver = DeliverWebhook(database, sender, EndpointConcurrencyLimiter(settings.webhooks_slots_per_endpoint))
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS[Queue.WEBHOOKS],
        activities=[deliver.deliver_webhook, deliver.close_delivery],
        **_options(settings, settings.webhooks_slots),
    )


def _steps_of(catalog: CatalogEmbedding) -> Sequence[Callable[..., Awaitable[object]]]:
    return (
        catalog.embed_texts,
        catalog.mend_index,
        catalog.begin_build,
        catalog.fill_build,
        catalog.publish_build,
    )


def _options(settings: WorkerSettings, slots: int) -> _Options:
    return _Options(
        interceptors=[
            LogContextInterceptor(),
            HeartbeatInterceptor(),
            MetricsInterceptor(),
            FailureInterceptor(debug=DebugSettings().microcred_debug),
            *WORKFLOW_INTERCEPTORS,
        ],
        max_concurrent_activities=slots,
        max_concurrent_workflow_tasks=settings.workflow_slots,
        max_cached_workflows=settings.cached_workflows,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(maximum=settings.pollers),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(maximum=settings.pollers),
        graceful_shutdown_timeout=timedelta(seconds=settings.grace_s),
        deployment_config=settings.deployment,
    )


async def serve(queues: Collection[Queue], settings: WorkerSettings, load: ModelLoader) -> None:
    """Runs the queues' workers until SIGTERM or SIGINT, then lets what they hold finish."""
    essays = EssaySettings()
    client = await connect(runtime=metrics_runtime(settings.metrics_address, BUCKETS))
    engine = create_engine(DatabaseSettings(application_name="microcred-worker"))
    if tracing_is_on():
        from persistence.statement_spans import trace_statements  # noqa: PLC0415  # imports OpenTelemetry

        trace_statements(engine)
    database = SqlDatabase(engine, all_organizations=settings.knn_scope == "all")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with AsyncExitStack() as running:
            analysis = ProcessAnalysis()
            running.callback(analysis.close)
            workers: list[Worker] = []
            if Queue.ASSESSMENTS in queues:
                sweep_every = timedelta(seconds=settings.reconcile_every_s)
                await provision(client, sweep_every)
                running.callback(asyncio.create_task(watch(client, sweep_every)).cancel)
                runs = TemporalAssessmentRuns(client)
                kept_days = RetentionSettings().days
                worker = assessments_worker(
                    client, database, runs, settings, by_model=essays.by_model, kept_days=kept_days
                )
                workers.append(await running.enter_async_context(worker))
            if Queue.LLM in queues:
                # Served without a model as well: runs from before it was taken away must not wait for it.
                model = load_language_model() if essays.by_model else None
                if model:
                    running.push_async_callback(model.close)
                measured = InstrumentedModel(model, span) if model else None
                score_essay = ScoreEssay(database, measured, essays.grading, analysis)
                workers.append(await running.enter_async_context(llm_worker(client, score_essay, settings)))
            if Queue.EMBEDDINGS in queues:
                from persistence.vectors.weaviate import WeaviateSettings  # noqa: PLC0415  # only this queue needs it

                stores = VectorStores(engine, WeaviateSettings(), TemporalCatalogRuns(client))
                running.push_async_callback(stores.close)
                models = await load(stores, running, analysis)
                catalog = stores.embedding(models.catalogue) if models.catalogue else None
                worker = embeddings_worker(client, database, models, settings, catalog=catalog)
                workers.append(await running.enter_async_context(worker))
            if Queue.WEBHOOKS in queues:
                sender = HttpWebhookSender(WebhookSettings(), EncryptionSettings().cipher().decrypt)
                running.push_async_callback(sender.aclose)
                worker = webhooks_worker(client, database, InstrumentedSender(sender, span), settings)
                workers.append(await running.enter_async_context(worker))
            log.info("worker_ready", queues=sorted(queues))
            await stop.wait()
            log.info("worker_stopping")
            # All at once: one after the other would take as many times `grace_s` as there are queues.
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    finally:
        await engine.dispose()


class VectorStores:
    """Where vectors are searched and kept: pgvector, and Weaviate before it where WEAVIATE_URL names one.

    Weaviate's client is imported here, so that workers of other queues do not hold its 28 MB.
    """

    def __init__(self, engine: AsyncEngine, settings: "WeaviateSettings", runs: CatalogRuns) -> None:
        from persistence.vectors.weaviate import Weaviate  # noqa: PLC0415

        self.ledger = SqlEmbeddingLedger(engine)
        self._engine = engine
        self._artifacts = SqlEmbeddingArtifacts(engine)
        self._deadline_s = settings.deadline_s
        self._weaviate = Weaviate(settings) if settings.url else None
        self._runs = runs

    def pgvector(self, provider: str, model: str) -> CredentialIndex:
        return PgVectorIndex(self._engine, provider, model)

    def once_embedded(self, provider: str, model: str) -> CredentialIndex:
        """Refuses to search while the catalogue has too few vectors of the model."""
        return EmbeddedIndex(self.index(provider, model), self._artifacts, self._runs, provider, model)

    def index(self, provider: str, model: str) -> CredentialIndex:
        pgvector = self.pgvector(provider, model)
        kept = self._kept(provider, model)
        if self._weaviate is None or kept is None:
            return pgvector
        from persistence.vectors.weaviate import WeaviateIndex  # noqa: PLC0415

        return FallbackIndex(
            WeaviateIndex(self._weaviate, provider, model),
            pgvector,
            is_whole=kept.is_whole,
            repair=self._runs.start,
            deadline_s=self._deadline_s,
        )

    def embedding(self, embedders: Sequence[Embedder]) -> CatalogEmbedding:
        """Weaviate holds the vectors of the first; of the others pgvector does."""
        return CatalogEmbedding(self._artifacts, embedders, self._kept(embedders[0].provider, embedders[0].model))

    async def close(self) -> None:
        if self._weaviate:
            await self._weaviate.close()

    def _kept(self, provider: str, model: str) -> CatalogIndex | None:
        if self._weaviate is None:
            return None
        from persistence.vectors.weaviate_writer import WeaviateIndexWriter  # noqa: PLC0415

        writer = WeaviateIndexWriter(self._weaviate, provider, model)
        return CatalogIndex(artifacts=self._artifacts, writer=writer, provider=provider, model=model)


def load_language_model() -> "OpenAIEssayGrader":
    """Imported here, so that workers of other queues need neither the SDK nor a key.

    Raises:
        InvalidInput: there is no OPENAI_API_KEY.
    """
    from activities.adapters.openai.grader import OpenAIEssayGrader, OpenAISettings  # noqa: PLC0415

    return OpenAIEssayGrader(OpenAISettings())


def load_openai_embedder(ledger: EmbeddingLedger) -> "OpenAIEmbedder":
    """Imported here, so that MiniLM alone needs no SDK.

    Raises:
        InvalidInput: there is no OPENAI_API_KEY.
    """
    from activities.adapters.openai.embedder import OpenAIEmbedder, OpenAIEmbeddingSettings  # noqa: PLC0415

    return OpenAIEmbedder(OpenAIEmbeddingSettings(), InstrumentedEmbeddingLedger(ledger))


async def load_models(stores: VectorStores, running: AsyncExitStack, analysis: TextAnalysis) -> Models:
    """MiniLM in memory (seconds) and what is built on it; imported here, so that other workers need no torch.

    Essays are MiniLM's whoever embeds the catalogue: the local grader costs nothing.

    Raises:
        InvalidInput: OpenAI is to embed the catalogue, and there is no OPENAI_API_KEY.
    """
    from activities.adapters.caching import CachingEmbedder  # noqa: PLC0415
    from activities.adapters.knn import KnnNearestLearners  # noqa: PLC0415
    from activities.adapters.local_grader.grader import LocalEssayGrader  # noqa: PLC0415
    from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings  # noqa: PLC0415

    minilm = MiniLMEmbedder(MiniLMSettings())
    await minilm.warm()
    local = Models(
        embedder=CachingEmbedder(minilm),
        index=stores.index(minilm.provider, minilm.model),
        grader=LocalEssayGrader(minilm, analysis=analysis),
        nearest=KnnNearestLearners(),
        catalogue=(minilm,),
    )
    if EmbeddingSettings().provider == "minilm":
        return local
    openai = load_openai_embedder(stores.ledger)
    running.push_async_callback(openai.close)
    measured = InstrumentedEmbedder(openai, span)
    return replace(
        local,
        embedder=CachingEmbedder(measured),
        index=stores.once_embedded(openai.provider, openai.model),
        catalogue=(measured, minilm),
        standby=Searched(embedder=local.embedder, index=stores.pgvector(minilm.provider, minilm.model)),
    )


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
        asyncio.run(serve(queues, WorkerSettings(), load_models))
    finally:
        stop_tracing()
    return 0


if __name__ == "__main__":
    run_and_leave(main)
