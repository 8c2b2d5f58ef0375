"""Starts and signals assessment runs, within a second or not at all."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, TypedDict
from uuid import UUID

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from domain.assessments import Assessment
from domain.errors import ExternalServiceError
from workflows import search_attributes
from workflows.assessment import AssessmentInput, AssessmentWorkflow
from workflows.policies import Queue, fair
from workflows.progress import Progress
from workflows.revision import RevisionInput, RevisionWorkflow

# With the server gone the SDK blocks for 6 to 30 s, whatever its own time-outs say.
DEADLINE_S: Final = 1.0
QUERY_DEADLINE_S: Final = 0.3
LIVE_PAGE: Final = 200


class _StartOptions(TypedDict):
    """What all starts share."""

    task_queue: str
    id_reuse_policy: WorkflowIDReusePolicy
    id_conflict_policy: WorkflowIDConflictPolicy
    search_attributes: TypedSearchAttributes
    priority: Priority
    rpc_timeout: timedelta


class TemporalAssessmentRuns:
    """The port `AssessmentRuns` over a (lazy) Temporal client.

    After five failures in a row the breaker refuses calls for ten seconds; reconciliation does what was not done.
    """

    def __init__(self, client: Client, queue: str = Queue.ASSESSMENTS, deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._queue = queue
        self._deadline_s = deadline_s
        self._breakers = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=10)

    async def start(self, assessment: Assessment) -> None:
        await self._guarded(lambda: self._start(assessment))

    async def submit(self, assessment: Assessment) -> None:
        await self._guarded(lambda: self._start(assessment, signal="submit"))

    async def heal(self, assessment: Assessment) -> None:
        await self._guarded(lambda: self._revise(assessment))

    async def heal_now(self, assessment: Assessment) -> None:
        await self._guarded(lambda: self._revise(assessment, signal="retry_degraded"))

    async def reviewed(self, assessment: Assessment) -> None:
        await self._guarded(lambda: self._revise(assessment, signal="reviewed"))

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return await self._live(assessment_ids, workflow_id)

    async def live_revisions(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return await self._live(assessment_ids, revision_workflow_id)

    async def _live(self, assessment_ids: Sequence[UUID], workflow_id: Callable[[UUID], str]) -> frozenset[UUID]:
        if len(assessment_ids) > LIVE_PAGE:
            raise ValueError(f"assessment_ids: at most {LIVE_PAGE}")
        ids = ", ".join(f"'{workflow_id(assessment_id)}'" for assessment_id in assessment_ids)
        found = set[str]()

        async def list_running() -> None:
            query = f"ExecutionStatus = 'Running' AND WorkflowId IN ({ids})"
            found.update([run.id async for run in self._client.list_workflows(query)])

        await self._guarded(list_running, deadline_s=10 * self._deadline_s)
        return frozenset(each for each in assessment_ids if workflow_id(each) in found)

    async def progress(self, assessment_id: UUID) -> Progress | None:
        """The live stage; None where the run does not tell in time."""
        handle = self._client.get_workflow_handle(workflow_id(assessment_id))
        try:
            async with asyncio.timeout(QUERY_DEADLINE_S):
                return await handle.query(AssessmentWorkflow.progress, rpc_timeout=timedelta(seconds=QUERY_DEADLINE_S))
        except (RPCError, TimeoutError, RuntimeError):
            return None

    async def _start(self, assessment: Assessment, signal: str | None = None) -> None:
        await self._client.start_workflow(
            AssessmentWorkflow.run,
            AssessmentInput(assessment_id=assessment.id, expires_at=assessment.expires_at),
            id=workflow_id(assessment.id),
            static_summary=f"Assessment {assessment.id}",
            start_signal=signal,
            **self._options(assessment),
        )

    async def _revise(self, assessment: Assessment, signal: str | None = None) -> None:
        await self._client.start_workflow(
            RevisionWorkflow.run,
            RevisionInput(assessment_id=assessment.id),
            id=revision_workflow_id(assessment.id),
            static_summary=f"Revise assessment {assessment.id}",
            start_signal=signal,
            **self._options(assessment),
        )

    def _options(self, assessment: Assessment) -> _StartOptions:
        return _StartOptions(
            task_queue=self._queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(search_attributes.ASSESSMENT_STATUS, str(assessment.status)),
                    SearchAttributePair(search_attributes.ROLE_ID, str(assessment.role_id)),
                    SearchAttributePair(search_attributes.ORGANIZATION_ID, str(assessment.organization_id)),
                ]
            ),
            priority=fair(assessment),
            rpc_timeout=timedelta(seconds=self._deadline_s),
        )

    async def _guarded(self, call: Callable[[], Awaitable[None]], deadline_s: float | None = None) -> None:
        try:
            async with await self._breakers.get_breaker("temporal"), asyncio.timeout(deadline_s or self._deadline_s):
                await call()
        except (RPCError, TimeoutError, RuntimeError, OpenedState) as error:
            # A lazy client that cannot connect raises RuntimeError.
            raise ExternalServiceError("The workflow engine did not take the call") from error


def workflow_id(assessment_id: UUID) -> str:
    return f"assessment-{assessment_id}"


def revision_workflow_id(assessment_id: UUID) -> str:
    return f"revision-{assessment_id}"
