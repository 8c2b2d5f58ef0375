"""Add the workflow, assessment and job to every log line of an activity."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.blend_recommendations import PublicationInput
from activities.claim_assessment import ClaimInput
from activities.score_essay import EssayInput
from activities.score_essays_locally import EssaysInput
from activities.steps import RunInput
from domain.assessments.steps import Step

log = structlog.get_logger(__name__)


class LogContextInterceptor(Interceptor):
    """Bind `workflow_id` and `activity`, and `assessment_id` and `job_id` (of `async_jobs`) where they exist.

    It also logs every completed activity; `activities.failures` logs the failed ones.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _BindingInbound(next)


class _BindingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        with structlog.contextvars.bound_contextvars(**_context(activity.info(), input.args)):
            started = time.monotonic()
            result = await super().execute_activity(input)
            log.info("activity_done", ms=round((time.monotonic() - started) * 1000))
            return result


def _context(info: activity.Info, arguments: Sequence[object]) -> dict[str, str]:
    known = {"workflow_id": info.workflow_id or "", "activity": info.activity_type}
    match arguments:
        case [ClaimInput(assessment_id=assessment_id)]:  # the run is not known yet
            return known | {"assessment_id": str(assessment_id)}
        case [PublicationInput(run=of)]:
            return known | {"assessment_id": str(of.assessment_id), "job_id": str(of.job(Step.PUBLISH_RESULT).id)}
        case _:
            pass
    run, item = _run_and_item(arguments)
    if run is None:
        return known
    known["assessment_id"] = str(run.assessment_id)
    if info.activity_type in set(Step):
        known["job_id"] = str(run.job(Step(info.activity_type), item).id)
    return known


def _run_and_item(arguments: Sequence[object]) -> tuple[RunInput | None, UUID | None]:
    match arguments:
        case [RunInput() as run]:
            return run, None
        case [EssayInput(run=run, essay=essay)]:
            return run, essay
        case [EssaysInput(run=run)]:
            return run, None
        case _:
            return None, None
