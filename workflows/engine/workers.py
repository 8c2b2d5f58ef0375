"""Build the Temporal worker of each queue. `worker.py` and the tests use the same builders."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypedDict

from temporalio.client import Client
from temporalio.worker import (
    Interceptor,
    PollerBehavior,
    PollerBehaviorAutoscaling,
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)

from activities.adapters.mail.smtp import MailSettings, SmtpMailer
from activities.adapters.telemetry.metrics import MetricsInterceptor
from activities.advance_rescore import AdvanceRescore
from activities.apply_rescore import RescoreApplication
from activities.await_provider import AwaitProvider
from activities.begin_revision import BeginRevision
from activities.blend_recommendations import BlendRecommendations
from activities.catalog_embedding import CatalogEmbedding
from activities.claim_assessment import ClaimAssessment
from activities.debugging import DebugSettings
from activities.deliver_webhook import DeliverWebhook
from activities.end_healing import EndHealing
from activities.endpoint_slots import EndpointConcurrencyLimiter
from activities.erase_user import EraseUser
from activities.failures import FailureInterceptor
from activities.finish_rescore_batch import FinishRescoreBatch
from activities.follow_appeal import FollowAppeal
from activities.heartbeats import HeartbeatInterceptor
from activities.log_context import LogContextInterceptor
from activities.mail_link import MailLink
from activities.mark_failed import MarkFailed
from activities.probe_provider import ProbeModel, ProbeSearch
from activities.publish_result import PublishResult
from activities.reconcile import Reconcile
from activities.release_results import ReleaseResults
from activities.rescore_essay import RescoreEssay, RescoreEssayLocally
from activities.retain import Retain
from activities.retrieve_evidence import RetrieveEvidence, SearchBackend
from activities.score_essay import ScoreEssay
from activities.score_essays_locally import ScoreEssaysLocally
from activities.score_rules import ScoreRules
from activities.search_catalog import SearchCatalog
from activities.stop_rescore import StopRescore
from activities.text_analysis import IN_PROCESS
from domain.account_links import Mailer
from domain.assessments.ports import AssessmentRuns
from domain.database import Database
from domain.grading.ports import TextAnalysis
from domain.privacy import ErasureList, RetentionRule
from domain.webhooks.deliveries import WebhookSender
from persistence.erasure_list import ErasureListSettings, FileErasureList
from workflows.appeal import AppealWorkflow
from workflows.assessment import AssessmentWorkflow
from workflows.catalog_embedding import CatalogEmbeddingWorkflow
from workflows.catalog_search import CatalogSearchWorkflow
from workflows.engine.appeal_runs import TemporalAppealRuns
from workflows.engine.backlogs import LOCAL_GRADER, worker_identity
from workflows.engine.calls import SWEEP_DEADLINE_S
from workflows.engine.catalog_runs import TemporalCatalogRuns
from workflows.engine.delivery_runs import TemporalDeliveryRuns
from workflows.engine.erasure_runs import TemporalErasureRuns
from workflows.engine.failure_reason import FailureReasonInterceptor
from workflows.engine.gate_runs import TemporalProviderGates
from workflows.engine.link_mail_runs import TemporalLinkMailRuns
from workflows.engine.models import Models
from workflows.engine.rescore_runs import TemporalRescoreRuns
from workflows.engine.worker_settings import WORKFLOW_POLLERS, WorkerSettings
from workflows.link_mail import LinkMailWorkflow
from workflows.policies import Queue, sibling_queue
from workflows.provider_gate import ProviderGateWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.rescore import RescoreWorkflow
from workflows.retention import RetentionWorkflow
from workflows.revision import RevisionWorkflow
from workflows.user_erasure import UserErasureWorkflow
from workflows.webhook_delivery import WebhookDeliveryWorkflow

WORKFLOWS: Final[dict[Queue, tuple[type, ...]]] = {
    Queue.ASSESSMENTS: (
        AssessmentWorkflow,
        RevisionWorkflow,
        ProviderGateWorkflow,
        AppealWorkflow,
        ReconciliationWorkflow,
        CatalogEmbeddingWorkflow,
        CatalogSearchWorkflow,
        RetentionWorkflow,
        UserErasureWorkflow,
        RescoreWorkflow,
    ),
    Queue.WEBHOOKS: (WebhookDeliveryWorkflow, LinkMailWorkflow),
}
"""The workflow types that the workers of each queue run."""

CACHED_RUNS_FIRST: Final = PollerBehaviorSimpleMaximum(maximum=WORKFLOW_POLLERS)
"""One poller takes the tasks of new runs, four those of cached runs, which the server does not dispatch in turns.

So runs that have begun continue before others begin, and few of their tasks wait. With equally many pollers, all runs
of a crowd begin first, and another organization's run waits behind the crowd's next tasks (figures: docs/settings.md).
Runs of `webhooks` have only two tasks; there it would cost a fifth of the throughput.
"""

WORKFLOW_INTERCEPTORS: Final[Sequence[Interceptor]] = (FailureReasonInterceptor(),)
"""Interceptors of all workflows. They may issue commands, so a replay needs them too."""


class _Options(TypedDict):
    """Options of all workers."""

    interceptors: Sequence[Interceptor]
    max_concurrent_activities: int
    max_concurrent_workflow_tasks: int
    max_cached_workflows: int
    workflow_task_poller_behavior: PollerBehavior
    activity_task_poller_behavior: PollerBehaviorAutoscaling
    graceful_shutdown_timeout: timedelta
    workflow_runner: WorkflowRunner
    deployment_config: WorkerDeploymentConfig | None


def assessments_worker(  # noqa: PLR0913  # what the activities need
    client: Client,
    database: Database,
    runs: AssessmentRuns,
    settings: WorkerSettings,
    queue: str = Queue.ASSESSMENTS,
    *,
    by_model: bool = False,
    erasure_list: ErasureList | None = None,
    retention_days: Mapping[RetentionRule, int] | None = None,
    analysis: TextAnalysis = IN_PROCESS,
) -> Worker:
    """Build the worker of the workflows and of the activities that need only Postgres.

    `runs` are for reconciliation. With `by_model`, the language model grades essays first. `erasure_list` defaults to
    the list in the settings. `retention_days` limits the age of data by rule; data of a rule without a limit is never
    deleted.
    """
    erased = erasure_list or FileErasureList(ErasureListSettings().erasure_list)
    erase = EraseUser(database, TemporalErasureRuns(client, queue), erased)
    gates = TemporalProviderGates(client, queue, SWEEP_DEADLINE_S, breaks=False)
    delivery_runs = TemporalDeliveryRuns(client, sibling_queue(queue, Queue.WEBHOOKS))
    reconcile = Reconcile(
        database,
        runs,
        TemporalDeliveryRuns(client, sibling_queue(queue, Queue.WEBHOOKS), SWEEP_DEADLINE_S, breaks=False),
        TemporalErasureRuns(client, queue, SWEEP_DEADLINE_S, breaks=False),
        TemporalCatalogRuns(client, queue, SWEEP_DEADLINE_S, breaks=False),
        TemporalAppealRuns(client, queue, SWEEP_DEADLINE_S, breaks=False),
        TemporalRescoreRuns(client, queue, SWEEP_DEADLINE_S, breaks=False),
        TemporalLinkMailRuns(client, sibling_queue(queue, Queue.WEBHOOKS), SWEEP_DEADLINE_S, breaks=False),
        analysis=analysis,
    )
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS[Queue.ASSESSMENTS],
        activities=[
            ClaimAssessment(database, by_model=by_model).claim_assessment,
            BeginRevision(database).begin_revision,
            EndHealing(database).end_healing,
            AwaitProvider(database, gates).await_provider,
            ReleaseResults(database, gates).release_results,
            FollowAppeal(database).follow_appeal,
            ScoreRules(database, by_model=by_model).score_rules,
            PublishResult(database).publish_result,
            MarkFailed(database).mark_failed,
            reconcile.reconcile,
            AdvanceRescore(database, RescoreApplication(database, delivery_runs), by_model=by_model).advance_rescore,
            StopRescore(database).stop_rescore,
            erase.stop_runs,
            erase.erase_records,
            erase.finish_erasure,
            Retain(database, retention_days or {}).retain,
        ],
        **_options(settings, settings.assessments_slots)
        | {
            "max_concurrent_workflow_tasks": settings.workflow_slots,
            "workflow_task_poller_behavior": CACHED_RUNS_FIRST,
        },
    )


def llm_worker(client: Client, essays: ScoreEssay, settings: WorkerSettings, queue: str = Queue.LLM) -> Worker:
    """Build the worker of the calls to a language model. The queue is separate because the server rate-limits it.

    Each poll request carries the limit, so a server that lost its data has it again at once. An operator's
    `temporal task-queue config set` overrides it.
    """
    return Worker(
        client,
        task_queue=queue,
        activities=[
            essays.score_essay,
            RescoreEssay(essays.database, essays).rescore_essay,
            ProbeModel(essays.database, essays).probe_model,
        ],
        identity=worker_identity(essays.model_name or LOCAL_GRADER),
        max_task_queue_activities_per_second=settings.llm_rps,
        **_options(settings, settings.llm_slots, settings.llm_grace_s),
    )


def embeddings_worker(  # noqa: PLR0913  # what the activities need
    client: Client,
    database: Database,
    models: Models,
    settings: WorkerSettings,
    queue: str = Queue.EMBEDDINGS,
    *,
    catalog: CatalogEmbedding | None = None,
    analysis: TextAnalysis = IN_PROCESS,
) -> Worker:
    """Build the worker of the activities that need a model in memory, with those that embed the catalogue if given."""
    searched = SearchBackend(embedder=models.embedder, index=models.index)
    retrieval = RetrieveEvidence(database, models.embedder, models.index, models.fallback)
    blend = BlendRecommendations(database, models.nearest)
    return Worker(
        client,
        task_queue=queue,
        activities=[
            ScoreEssaysLocally(database, models.grader, analysis).score_essays_locally,
            retrieval.retrieve_evidence,
            ProbeSearch(database, retrieval).probe_search,
            SearchCatalog(database, searched, models.fallback).search_catalog,
            blend.blend_recommendations,
            RescoreEssayLocally(database, models.grader, analysis).rescore_essay_locally,
            FinishRescoreBatch(database, retrieval, blend).finish_rescore_batch,
            *(_catalog_activities(catalog) if catalog else ()),
        ],
        **_options(settings, settings.embeddings_slots),
    )


def webhooks_worker(  # noqa: PLR0913  # what the activities need
    client: Client,
    database: Database,
    sender: WebhookSender,
    settings: WorkerSettings,
    queue: str = Queue.WEBHOOKS,
    *,
    mailer: Mailer | None = None,
) -> Worker:
    """Build the worker of webhook deliveries and mails. `mailer` defaults to the mail server in the settings.

    The queue is separate so that slow servers delay nothing else.
    """
    deliver = DeliverWebhook(database, sender, EndpointConcurrencyLimiter(settings.webhooks_slots_per_endpoint))
    mail = MailLink(database, mailer or SmtpMailer(MailSettings()))
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS[Queue.WEBHOOKS],
        activities=[deliver.deliver_webhook, deliver.close_delivery, mail.mail_link, mail.close_link_mail],
        **_options(settings, settings.webhooks_slots),
    )


def _catalog_activities(catalog: CatalogEmbedding) -> Sequence[Callable[..., Awaitable[object]]]:
    return (
        catalog.embed_texts,
        catalog.mend_index,
        catalog.begin_build,
        catalog.fill_build,
        catalog.publish_build,
    )


def _options(settings: WorkerSettings, slots: int, grace_s: int | None = None) -> _Options:
    return _Options(
        interceptors=[
            LogContextInterceptor(),
            HeartbeatInterceptor(),
            MetricsInterceptor(),
            FailureInterceptor(debug=DebugSettings().microcred_debug),
            *WORKFLOW_INTERCEPTORS,
        ],
        max_concurrent_activities=slots,
        max_concurrent_workflow_tasks=slots,
        max_cached_workflows=settings.cached_workflows,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(maximum=settings.pollers),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(maximum=settings.pollers),
        graceful_shutdown_timeout=timedelta(seconds=settings.grace_s if grace_s is None else grace_s),
        # The sandbox costs a seventh of the worker's CPU time. Tests and replays run the workflows in it.
        workflow_runner=UnsandboxedWorkflowRunner(),
        deployment_config=settings.deployment,
    )
