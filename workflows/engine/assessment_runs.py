"""Start and signal the runs of assessments and revisions."""

from collections.abc import Sequence
from uuid import UUID

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from domain.assessments.lifecycle import Assessment
from workflows.assessment import AssessmentInput, AssessmentWorkflow
from workflows.engine import search_attributes, static_details
from workflows.engine.runs import TemporalRuns
from workflows.policies import organization_priority
from workflows.revision import RevisionInput, RevisionWorkflow


class TemporalAssessmentRuns(TemporalRuns):
    """The port `AssessmentRuns`."""

    async def submit(self, assessment: Assessment) -> None:
        """Signal with start. Earlier releases start the run with the assessment, and it waits for the signal."""
        await self._ensure(
            AssessmentWorkflow.run,
            AssessmentInput(assessment_id=assessment.id, expires_at=assessment.expires_at),
            id_=workflow_id(assessment.id),
            summary=f"Assessment {assessment.id} of student {assessment.user_id}",
            details=static_details.ASSESSMENT,
            attributes=_attributes(assessment),
            priority=organization_priority(assessment.organization_id),
            signal="submit",
        )

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
        await self._revise(assessment)

    async def heal_now(self, assessment: Assessment) -> None:
        await self._revise(assessment, signal="retry_degraded")

    async def reviewed(self, assessment: Assessment) -> None:
        await self._revise(assessment, signal="reviewed")

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return await self._live({each: workflow_id(each) for each in assessment_ids})

    async def live_revisions(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return await self._live({each: revision_workflow_id(each) for each in assessment_ids})

    async def _revise(self, assessment: Assessment, signal: str | None = None) -> None:
        await self._ensure(
            RevisionWorkflow.run,
            RevisionInput(assessment_id=assessment.id),
            id_=revision_workflow_id(assessment.id),
            summary=f"Revise assessment {assessment.id}",
            details=static_details.REVISION,
            attributes=_attributes(assessment),
            priority=organization_priority(assessment.organization_id),
            signal=signal,
        )


def workflow_id(assessment_id: UUID) -> str:
    return f"assessment-{assessment_id}"


def revision_workflow_id(assessment_id: UUID) -> str:
    return f"revision-{assessment_id}"


def _attributes(assessment: Assessment) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(search_attributes.ASSESSMENT_STATUS, str(assessment.status)),
            SearchAttributePair(search_attributes.ROLE_ID, str(assessment.role_id)),
            SearchAttributePair(search_attributes.ORGANIZATION_ID, str(assessment.organization_id)),
            SearchAttributePair(search_attributes.STUDENT_ID, str(assessment.user_id)),
        ]
    )
