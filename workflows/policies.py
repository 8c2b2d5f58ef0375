"""The queues, timeouts and retry policies of all activities, and the versioning of all workflows.

Calls to Postgres and to models in this process are retried until they succeed, at most 30 s apart. The error types in
`activities.failures.NON_RETRYABLE` are not retried.
"""

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy, VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.failures import NON_RETRYABLE
    from domain.grading.scores import DegradedReason


class Queue(StrEnum):
    """The task queues, one per resource.

    `assessments`: workflows and database activities. `llm`: calls to the language model, rate-limited by the server.
    `embeddings`: models in memory; only its workers load MiniLM. `webhooks`: deliveries, so that slow partners delay
    nothing else.
    """

    ASSESSMENTS = "assessments"
    LLM = "llm"
    EMBEDDINGS = "embeddings"
    WEBHOOKS = "webhooks"


RETRY_UNTIL_SUCCESS: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=0,
    non_retryable_error_types=NON_RETRYABLE,
)
ONE_ATTEMPT: Final = RetryPolicy(maximum_attempts=1)
"""For a search: a caller waits for the answer and has a fallback."""
THREE_ATTEMPTS: Final = RetryPolicy(maximum_attempts=3, non_retryable_error_types=NON_RETRYABLE)


FIVE_ATTEMPTS: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=60),
    maximum_attempts=5,
    non_retryable_error_types=NON_RETRYABLE,
)
"""Third-party calls: at most five attempts, then the fallback runs. `Retry-After` overrides the interval."""

RARE_ATTEMPTS: Final = RetryPolicy(
    initial_interval=timedelta(minutes=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(hours=1),
    maximum_attempts=0,
    non_retryable_error_types=NON_RETRYABLE,
)
"""For a wait that a signal ends. The attempts, at most an hour apart, are the fallback if the signal is lost."""

MAIL_ATTEMPTS: Final = RetryPolicy(
    initial_interval=timedelta(seconds=10),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=15),
    maximum_attempts=20,
    non_retryable_error_types=NON_RETRYABLE,
)
"""Twenty attempts in about three and a half hours. Each failure of the database counts as an attempt, too."""

FALLBACKS: Final = {
    "ModelUnavailable": DegradedReason.ESSAY_GRADER_LOCAL,
    "ModelTimeout": DegradedReason.ESSAY_GRADER_LOCAL,
    "ModelCircuitOpen": DegradedReason.ESSAY_GRADER_LOCAL,
    "ModelBusy": DegradedReason.ESSAY_GRADER_LOCAL,
    "ModelRequestRefused": DegradedReason.ESSAY_GRADER_REQUEST_REFUSED,
    "AnswerAwaited": DegradedReason.ESSAY_GRADER_LOCAL,
    "ModelNotConfigured": DegradedReason.ESSAY_GRADER_NOT_CONFIGURED,
    "ModelKeyRefused": DegradedReason.ESSAY_GRADER_KEY_REFUSED,
    "ModelQuotaExhausted": DegradedReason.ESSAY_GRADER_QUOTA_EXHAUSTED,
    "ModelUnknown": DegradedReason.ESSAY_GRADER_MODEL_UNKNOWN,
    "BudgetSpent": DegradedReason.ESSAY_BUDGET_SPENT,
    "AttemptsExceeded": DegradedReason.ESSAY_ATTEMPTS_EXCEEDED,
    "GraderFailed": DegradedReason.GRADER_FAILED,
}
"""The failures of `score_essay` after which the local grader runs, and the reason that the result then shows. Every
other failure that a retry could have corrected counts as ESSAY_GRADER_LOCAL after the last attempt."""

STORAGE_PAUSE: Final = timedelta(seconds=3)
"""Pause between rounds of `FIVE_ATTEMPTS` while Postgres is unavailable. An attempt waits 20 s for Postgres itself."""

MODEL_DEADLINE: Final = timedelta(seconds=60)
"""Maximum timeout of a call to the language model. The activity's timeout is longer, so that it can store the reply."""

HEALING_FIRST: Final = timedelta(seconds=30)
HEALING_LONGEST: Final = timedelta(hours=2)
HEALING_ENDS_AFTER: Final = timedelta(days=7)
"""Healing of a degraded result starts after 30 s. The interval doubles up to 2 h. Healing ends after 7 days.

A change of these numbers may change the commands of runs that are open, so it needs `workflow.patched`.
"""

GATE_FIRST_PAUSE: Final = timedelta(seconds=30)
GATE_LONGEST_PAUSE: Final = timedelta(minutes=15)
"""The pause between probes of a provider that does not answer starts at 30 s and doubles up to 15 minutes."""

RELEASED_AT_ONCE: Final = 30
RELEASE_EVERY: Final = timedelta(seconds=30)
"""A gate releases 60 results a minute. The rate limit of the queue `llm` applies, too."""

CATALOGUE_REBUILT_EVERY: Final = timedelta(days=7)

RETENTION_EVERY: Final = timedelta(days=1)

SWEEP_TIMEOUT: Final = timedelta(minutes=3)
RETENTION_TIMEOUT: Final = timedelta(hours=20)
CATALOGUE_TIMEOUT: Final = timedelta(hours=20)
"""Execution timeouts of the runs that Schedules start, because a Schedule starts no run while the last one is open."""
RETENTION_RULE_TIMEOUT: Final = timedelta(hours=2)
"""Maximum time of a retention rule with all its attempts. After it, the other rules run. All rules fit into one run."""

EPOCHS: Final = 3
"""Maximum number of times that an essay's completions are requested if all of them are rejected."""


_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
DELIVERY_SCHEDULE_S: Final = (
    *(0.0, 5.0, 5 * _MINUTE_S, 30 * _MINUTE_S),
    *(2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S, 14 * _HOUR_S, 20 * _HOUR_S, 24 * _HOUR_S),
)
"""Seconds before each attempt of a delivery. If the last attempt fails, the delivery is a dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of an activity. The `heartbeat` timeout detects a dead worker earlier than `start_to_close`."""

    queue: Queue
    start_to_close: timedelta
    retry: RetryPolicy
    heartbeat: timedelta | None = None


_DATABASE: Final = Policy(queue=Queue.ASSESSMENTS, retry=RETRY_UNTIL_SUCCESS, start_to_close=timedelta(seconds=10))
_MODEL: Final = Policy(
    queue=Queue.EMBEDDINGS,
    retry=RETRY_UNTIL_SUCCESS,
    start_to_close=timedelta(seconds=60),
    heartbeat=timedelta(seconds=10),
)
_CATALOGUE: Final = Policy(
    queue=Queue.EMBEDDINGS,
    retry=RETRY_UNTIL_SUCCESS,
    start_to_close=timedelta(minutes=30),  # for 100,000 entries
    heartbeat=timedelta(seconds=10),
)
_LONG: Final = Policy(
    queue=Queue.ASSESSMENTS,
    retry=RETRY_UNTIL_SUCCESS,
    start_to_close=timedelta(minutes=30),  # many small transactions
    heartbeat=timedelta(seconds=30),
)

_BATCH: Final = Policy(
    queue=Queue.ASSESSMENTS,
    retry=RETRY_UNTIL_SUCCESS,
    start_to_close=timedelta(minutes=5),  # 100 assessments
    heartbeat=timedelta(seconds=10),
)
# No schedule-to-start and no schedule-to-close timeout: waiting in the queue is not a failure.
_COMPLETION: Final = Policy(
    queue=Queue.LLM,
    retry=FIVE_ATTEMPTS,
    start_to_close=MODEL_DEADLINE + timedelta(seconds=30),
    heartbeat=timedelta(seconds=10),
)

POLICIES: Final = {
    "claim_assessment": _DATABASE,
    "score_rules": _DATABASE,
    "score_essay": _COMPLETION,
    "begin_revision": _DATABASE,
    "end_healing": _DATABASE,
    "follow_appeal": _DATABASE,
    "await_provider": replace(_DATABASE, retry=RARE_ATTEMPTS, start_to_close=timedelta(seconds=30)),
    "probe_model": replace(_COMPLETION, retry=THREE_ATTEMPTS),
    "probe_search": replace(_MODEL, retry=THREE_ATTEMPTS),
    "release_results": replace(_DATABASE, start_to_close=timedelta(seconds=60)),
    "score_essays_locally": _MODEL,
    "retrieve_evidence": _MODEL,
    "blend_recommendations": _MODEL,
    "publish_result": _DATABASE,
    "mark_failed": _DATABASE,
    "deliver_webhook": Policy(
        queue=Queue.WEBHOOKS,
        retry=RETRY_UNTIL_SUCCESS,
        start_to_close=timedelta(seconds=30),
        heartbeat=timedelta(seconds=10),
    ),
    "close_delivery": Policy(queue=Queue.WEBHOOKS, retry=RETRY_UNTIL_SUCCESS, start_to_close=timedelta(seconds=10)),
    # The connection, TLS, the login and the mail: each answer of the server may take 15 s.
    "mail_link": Policy(queue=Queue.WEBHOOKS, retry=MAIL_ATTEMPTS, start_to_close=timedelta(minutes=2)),
    "close_link_mail": Policy(queue=Queue.WEBHOOKS, retry=RETRY_UNTIL_SUCCESS, start_to_close=timedelta(seconds=10)),
    "embed_texts": _CATALOGUE,
    "mend_index": _CATALOGUE,
    "begin_build": _CATALOGUE,
    "fill_build": _CATALOGUE,
    "publish_build": _CATALOGUE,
    "search_catalog": Policy(queue=Queue.EMBEDDINGS, retry=ONE_ATTEMPT, start_to_close=timedelta(seconds=5)),
    "stop_runs": _LONG,
    "erase_records": _LONG,
    "finish_erasure": _DATABASE,
    "retain": _LONG,
    "advance_rescore": _BATCH,
    "rescore_essay": _COMPLETION,
    # A crash counts as a failed attempt, so an essay that crashes its worker does not do so for ever.
    "rescore_essay_locally": replace(_MODEL, retry=THREE_ATTEMPTS),
    "finish_rescore_batch": replace(_BATCH, queue=Queue.EMBEDDINGS),
    "stop_rescore": _DATABASE,
    "reconcile": Policy(
        queue=Queue.ASSESSMENTS,
        start_to_close=timedelta(seconds=90),  # twice its time budget
        retry=THREE_ATTEMPTS,
        heartbeat=timedelta(seconds=30),
    ),
}


VERSIONING: Final = {
    # These wait for people and partners for longer than a build is deployed.
    "AssessmentWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "RevisionWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "WebhookDeliveryWorkflow": VersioningBehavior.AUTO_UPGRADE,
    # A re-score takes hours, and its runs end within minutes: each continues as new after one batch.
    "RescoreWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "AppealWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "ProviderGateWorkflow": VersioningBehavior.AUTO_UPGRADE,
    # Retries of a mail take hours.
    "LinkMailWorkflow": VersioningBehavior.AUTO_UPGRADE,
    # These end within minutes, but their next run waits for their end, also if the build that started them is gone.
    "CatalogEmbeddingWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "ReconciliationWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "RetentionWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "UserErasureWorkflow": VersioningBehavior.AUTO_UPGRADE,
    # This one ends after two seconds, by its execution timeout.
    "CatalogSearchWorkflow": VersioningBehavior.PINNED,
}
"""The build that continues a run after another build has become current.

AUTO_UPGRADE: the current build. It must replay the history of the old one, so any change of a workflow's commands
(activities, timers, children, search attributes, or their order) needs `workflow.patched`; see
docs/runbooks/rollout.md. PINNED: the build that started the run. Its code may change freely, but workers of the old
build must run until the last such run has ended.
"""

_VERSIONED: Final = bool(os.environ.get("WORKER_BUILD_ID"))


def versioning(workflow_type: str) -> VersioningBehavior:
    """The versioning behaviour of a workflow type, or UNSPECIFIED if this process has no build id.

    The server rejects tasks of an unversioned worker that have a behaviour. The environment is read at import because
    workflow definitions are created then.
    """
    return VERSIONING[workflow_type] if _VERSIONED else VersioningBehavior.UNSPECIFIED


def activity_options(activity: str, summary: str) -> workflow.ActivityConfig:
    """The options of an activity, by its name. The Web UI shows `summary` next to the activity."""
    policy = POLICIES[activity]
    return workflow.ActivityConfig(
        task_queue=sibling_queue(workflow.info().task_queue, policy.queue),
        start_to_close_timeout=policy.start_to_close,
        retry_policy=policy.retry,
        heartbeat_timeout=policy.heartbeat,
        summary=summary,
    )


def sibling_queue(own: str, queue: Queue) -> str:
    """The task queue of the same set as `own`. It has the same suffix (`assessments-blue`), so sets can coexist."""
    prefix = next((each for each in Queue if own.startswith(each)), "")
    return queue + own.removeprefix(prefix)


def organization_priority(organization_id: UUID) -> Priority:
    """Dispatch the queued tasks of organizations in turn, so that many submissions of one do not delay another's.

    The priority applies to a workflow; its activities and child workflows inherit it.
    """
    return Priority(fairness_key=str(organization_id))


def background_priority(organization_id: UUID) -> Priority:
    """As `organization_priority`, but after all tasks of students who wait for a result."""
    return Priority(priority_key=4, fairness_key=str(organization_id))
