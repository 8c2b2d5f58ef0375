"""Every queue, timeout and retry policy, in one table.

What is ours (Postgres, the model in our process) is retried until it works, at most 30 s apart; what no retry can mend
(`activities.failures.NON_RETRYABLE`) is not retried at all.
"""

import os
from dataclasses import dataclass
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
    """`assessments` runs workflows and database activities; `embeddings` is the only one that needs torch.

    `llm` holds the calls of a language model, where the server-side rate limit sits; partners' slowness stays on
    `webhooks`.
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
"""Somebody waits for the answer, and has another one."""
THREE_ATTEMPTS: Final = RetryPolicy(maximum_attempts=3, non_retryable_error_types=NON_RETRYABLE)


FIVE_ATTEMPTS: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=60),
    maximum_attempts=5,
    non_retryable_error_types=NON_RETRYABLE,
)
"""What is others': bounded, then somebody else's turn. A `Retry-After` takes the interval's place."""

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
"""The failures of `score_essay` that the local grader takes over, and what the result then says."""

STORAGE_PAUSE: Final = timedelta(seconds=30)
"""Between rounds of attempts on a queue whose attempts are bounded, while our own database is away."""

MODEL_DEADLINE: Final = timedelta(seconds=60)
"""The longest that a client may wait for a language model; its activity ends later, so that it can still write."""

HEALING_FIRST: Final = timedelta(seconds=30)
HEALING_LONGEST: Final = timedelta(hours=2)
HEALING_ENDS_AFTER: Final = timedelta(days=7)
# Runs live as long: a changed number may change what they do next, so it needs `workflow.patched`.
"""A degraded result is tried again after 30 s, then after twice as long each time, at most 2 h apart, for 7 days."""

CATALOGUE_REBUILT_EVERY: Final = timedelta(days=7)

RETENTION_EVERY: Final = timedelta(days=1)

EPOCHS: Final = 3
"""How often an essay's answers are bought anew after all of them were rejected, the first time included."""


_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
DELIVERY_SCHEDULE_S: Final = (
    *(0.0, 5.0, 5 * _MINUTE_S, 30 * _MINUTE_S),
    *(2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S, 14 * _HOUR_S, 20 * _HOUR_S, 24 * _HOUR_S),
)
"""Seconds before each attempt at a delivery; after the last one it is a dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How an activity is called. With a `heartbeat`, a worker that died is noticed before `start_to_close`."""

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
    start_to_close=timedelta(minutes=30),  # 100,000 entries take some
    heartbeat=timedelta(seconds=10),
)
_LONG: Final = Policy(
    queue=Queue.ASSESSMENTS,
    retry=RETRY_UNTIL_SUCCESS,
    start_to_close=timedelta(minutes=30),  # in small transactions
    heartbeat=timedelta(seconds=30),
)

POLICIES: Final = {
    "claim_assessment": _DATABASE,
    "score_rules": _DATABASE,
    # No schedule-to-start and no schedule-to-close: waiting in this line is not a failure.
    "score_essay": Policy(
        queue=Queue.LLM,
        retry=FIVE_ATTEMPTS,
        start_to_close=MODEL_DEADLINE + timedelta(seconds=30),
        heartbeat=timedelta(seconds=10),
    ),
    "begin_revision": _DATABASE,
    "end_healing": _DATABASE,
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
    "reconcile": Policy(
        queue=Queue.ASSESSMENTS,
        start_to_close=timedelta(minutes=10),
        retry=THREE_ATTEMPTS,
        heartbeat=timedelta(seconds=30),
    ),
}


VERSIONING: Final = {
    # These wait for people and partners, so no build lives as long as they do.
    "AssessmentWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "RevisionWorkflow": VersioningBehavior.AUTO_UPGRADE,
    "WebhookDeliveryWorkflow": VersioningBehavior.AUTO_UPGRADE,
    # These end within minutes.
    "CatalogEmbeddingWorkflow": VersioningBehavior.PINNED,
    "CatalogSearchWorkflow": VersioningBehavior.PINNED,
    "ReconciliationWorkflow": VersioningBehavior.PINNED,
    "RetentionWorkflow": VersioningBehavior.PINNED,
    "UserErasureWorkflow": VersioningBehavior.PINNED,
}
"""What a run does at its next step once another build is current.

AUTO_UPGRADE goes over to it, so the new code must replay what the old code did: a change of what such a workflow asks
of Temporal (its activities, timers, children, search attributes, and their order) stands behind `workflow.patched`, as
docs/runbooks/rollout.md tells. PINNED stays with the build that began it and may change freely; that build's workers
stay until the last such run has ended.
"""

_VERSIONED: Final = bool(os.environ.get("WORKER_BUILD_ID"))


def versioning(workflow_type: str) -> VersioningBehavior:
    """Of a workflow, by its name; none where this process has no build id.

    The server refuses the tasks of workers without a version that name a behaviour, and a definition is made at import.
    """
    return VERSIONING[workflow_type] if _VERSIONED else VersioningBehavior.UNSPECIFIED


def activity_options(activity: str, summary: str) -> workflow.ActivityConfig:
    """The options of an activity, by its name; `summary` is what the Web UI shows beside it."""
    policy = POLICIES[activity]
    return workflow.ActivityConfig(
        task_queue=sibling_queue(workflow.info().task_queue, policy.queue),
        start_to_close_timeout=policy.start_to_close,
        retry_policy=policy.retry,
        heartbeat_timeout=policy.heartbeat,
        summary=summary,
    )


def sibling_queue(own: str, queue: Queue) -> str:
    """The queue beside a workflow's own; a suffix (`assessments-blue`) carries over, so that sets of queues coexist."""
    prefix = next((each for each in Queue if own.startswith(each)), "")
    return queue + own.removeprefix(prefix)


def organization_priority(organization_id: UUID) -> Priority:
    """Dispatch the queued tasks of organizations in turn, so that many submissions of one do not delay another's.

    The priority applies to a workflow; its activities and child workflows inherit it.
    """
    return Priority(fairness_key=str(organization_id))
