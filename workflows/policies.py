"""Every queue, timeout and retry policy, in one table.

What is ours (Postgres, the model in our process) is retried until it works, at most 30 s apart; what no retry can mend
(`activities.failures.NON_RETRYABLE`) is not retried at all.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.failures import NON_RETRYABLE
    from domain.assessments import Assessment


class Queue(StrEnum):
    """`assessments` runs workflows and database activities; `embeddings` is the only one that needs torch."""

    ASSESSMENTS = "assessments"
    EMBEDDINGS = "embeddings"


UNTIL_IT_WORKS: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=0,
    non_retryable_error_types=NON_RETRYABLE,
)
ONCE_A_SCHEDULE: Final = RetryPolicy(maximum_attempts=3, non_retryable_error_types=NON_RETRYABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How an activity is called. With a `heartbeat`, a worker that died is noticed before `start_to_close`."""

    queue: Queue
    start_to_close: timedelta
    retry: RetryPolicy
    heartbeat: timedelta | None = None


_DATABASE: Final = Policy(queue=Queue.ASSESSMENTS, retry=UNTIL_IT_WORKS, start_to_close=timedelta(seconds=10))
_MODEL: Final = Policy(
    queue=Queue.EMBEDDINGS,
    retry=UNTIL_IT_WORKS,
    start_to_close=timedelta(seconds=60),
    heartbeat=timedelta(seconds=10),
)

POLICIES: Final = {
    "claim_assessment": _DATABASE,
    "score_rules": _DATABASE,
    "score_essays_locally": _MODEL,
    "retrieve_evidence": _MODEL,
    "blend_recommendations": _MODEL,
    "publish_result": _DATABASE,
    "mark_failed": _DATABASE,
    "reconcile": Policy(
        queue=Queue.ASSESSMENTS,
        start_to_close=timedelta(minutes=10),
        retry=ONCE_A_SCHEDULE,
        heartbeat=timedelta(seconds=30),
    ),
}


def calling(activity: str, summary: str) -> workflow.ActivityConfig:
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
    return queue + own.removeprefix(Queue.ASSESSMENTS)


def fair(assessment: Assessment) -> Priority:
    """Organizations take turns: one's thousand submissions do not stand before another's one."""
    return Priority(fairness_key=str(assessment.organization_id))
