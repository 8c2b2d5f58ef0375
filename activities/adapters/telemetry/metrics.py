"""The worker's own metrics, in addition to those of Temporal's SDK, such as each step's latency and failures.

All metrics use the SDK's meter and its one endpoint. Without an endpoint they cost nothing.
"""

from collections.abc import Sequence
from typing import Any, Final

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.deliver_webhook import AttemptResult
from activities.mark_failed import FailureInput, FailureResult
from activities.reconcile import Swept
from domain.assessments.lifecycle import AssessmentStatus
from domain.assessments.results import Publication
from domain.webhooks.deliveries import DeliveryStatus

RESULTS: Final = "microcred_results"
DEGRADED: Final = "microcred_degraded_reasons"
SWEEP_FAILURES: Final = "microcred_sweep_failures"
FAILED: Final = "microcred_assessments_failed"
DELIVERIES: Final = "microcred_webhook_deliveries"
WEBHOOK_REQUEST: Final = "microcred_webhook_request"
MODEL_CALL: Final = "microcred_model_call"
MODEL_TOKENS: Final = "microcred_model_tokens"
MODEL_COST: Final = "microcred_model_cost_cents"
"""A histogram, because the SDK's counters accept only integers. Its sum is the total cost."""

BUCKETS: Final = {
    MODEL_CALL: (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0),
    MODEL_COST: (0.01, 0.1, 1.0, 10.0),
    WEBHOOK_REQUEST: (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0),
}


class MetricsInterceptor(Interceptor):
    """Count the outcomes of activities. An activity that is repeated after a crash counts again."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _CountingInbound(next)


class _CountingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        result = await self.next.execute_activity(input)
        _count(input.args, result)
        return result


def _count(arguments: Sequence[object], result: object) -> None:
    match result:
        case Publication(degraded_reasons=reasons):
            count(RESULTS, degraded=bool(reasons), needs_review=result.needs_review)
            for reason in reasons:
                count(DEGRADED, reason=reason)
        case FailureResult(status=AssessmentStatus.FAILED):
            count(FAILED, reason=next(each.reason for each in arguments if isinstance(each, FailureInput)))
        case AttemptResult(status=status) if status is not DeliveryStatus.PENDING:
            count(DELIVERIES, status=status)
        case Swept(errors=errors):
            for error, number in errors.items():
                count(SWEEP_FAILURES, number, concern=result.concern, error=error)
        case DeliveryStatus():
            count(DELIVERIES, status=result)
        case _:
            pass


def count(name: str, by: int = 1, /, **labels: str | bool) -> None:
    """Increase a counter of the worker that runs the activity."""
    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in labels.items()}
    activity.metric_meter().create_counter(name).add(by, texts)
