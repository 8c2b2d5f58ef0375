"""Start and signal the runs of assessments and revisions. Each call has a timeout of one second."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypedDict
from uuid import UUID

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from domain.assessments.lifecycle import Assessment
from workflows.assessment import AssessmentInput, AssessmentWorkflow
from workflows.engine import search_attributes, static_details
from workflows.engine.calls import DEADLINE_S, EngineCalls
from workflows.policies import Queue, organization_priority
from workflows.revision import RevisionInput, RevisionWorkflow


class _StartOptions(TypedDict):
    """Options of every start."""

    task_queue: str
    id_reuse_policy: WorkflowIDReusePolicy
    id_conflict_policy: WorkflowIDConflictPolicy
    search_attributes: TypedSearchAttributes
    priority: Priority
    rpc_timeout: timedelta


class TemporalAssessmentRuns:
    """The port `AssessmentRuns`, implemented with a (lazy) Temporal client."""

    def __init__(
        self, client: Client, queue: str = Queue.ASSESSMENTS, deadline_s: float = DEADLINE_S, *, breaks: bool = True
    ) -> None:
        self._client = client
        self._queue = queue
        self._deadline_s = deadline_s
        self._calls = EngineCalls(client, deadline_s, breaks=breaks)

    async def submit(self, assessment: Assessment) -> None:
        await self._calls.make(lambda: self._start(assessment))

    async def resume(self, assessment: Assessment) -> bool:
        if await self._calls.signal_hourly(workflow_id(assessment.id), "submit", str(assessment.run)):
            return False
        await self.submit(assessment)
        return True

    async def resume_review(self, assessment: Assessment) -> bool:
        id_ = revision_workflow_id(assessment.id)
        if await self._calls.signal_hourly(id_, "reviewed", str(assessment.revision)):
            return False
        await self.reviewed(assessment)
        return True

    async def heal(self, assessment: Assessment) -> None:
        await self._calls.make(lambda: self._revise(assessment))

    async def heal_now(self, assessment: Assessment) -> None:
        await self._calls.make(lambda: self._revise(assessment, signal="retry_degraded"))

    async def reviewed(self, assessment: Assessment) -> None:
        await self._calls.make(lambda: self._revise(assessment, signal="reviewed"))

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return await self._live(assessment_ids, workflow_id)

    async def live_revisions(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return await self._live(assessment_ids, revision_workflow_id)

    async def _live(self, assessment_ids: Sequence[UUID], workflow_id: Callable[[UUID], str]) -> frozenset[UUID]:
        running = await self._calls.running([workflow_id(assessment_id) for assessment_id in assessment_ids])
        return frozenset(each for each in assessment_ids if workflow_id(each) in running)

    async def _start(self, assessment: Assessment) -> None:
        """Signal with start. Earlier releases start the run with the assessment, and it waits for the signal."""
        await self._client.start_workflow(
            AssessmentWorkflow.run,
            AssessmentInput(assessment_id=assessment.id, expires_at=assessment.expires_at),
            id=workflow_id(assessment.id),
            static_summary=f"Assessment {assessment.id} of student {assessment.user_id}",
            static_details=static_details.ASSESSMENT,
            start_signal="submit",
            **self._options(assessment),
        )

    async def _revise(self, assessment: Assessment, signal: str | None = None) -> None:
        await self._client.start_workflow(
            RevisionWorkflow.run,
            RevisionInput(assessment_id=assessment.id),
            id=revision_workflow_id(assessment.id),
            static_summary=f"Revise assessment {assessment.id}",
            static_details=static_details.REVISION,
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
                    SearchAttributePair(search_attributes.STUDENT_ID, str(assessment.user_id)),
                ]
            ),
            priority=organization_priority(assessment.organization_id),
            rpc_timeout=timedelta(seconds=self._deadline_s),
        )


def workflow_id(assessment_id: UUID) -> str:
    return f"assessment-{assessment_id}"


def revision_workflow_id(assessment_id: UUID) -> str:
    return f"revision-{assessment_id}"
