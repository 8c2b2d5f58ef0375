"""Activities that do what a test says, under the real names."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.claim_assessment import Claim, ClaimInput, ClaimOutcome
from activities.mark_failed import FailureInput
from activities.retrieve_evidence import EvidenceResult
from activities.score_essays_locally import EssaysInput, EssaysResult
from activities.steps import RunInput
from domain.assessments import AssessmentStatus
from domain.identity import derived_id
from domain.results import Publication
from workflows.assessment import AssessmentInput, AssessmentOutcome, AssessmentWorkflow

Handle: TypeAlias = WorkflowHandle[AssessmentWorkflow, AssessmentOutcome]


@dataclass
class ScriptedActivities:
    """Each activity records its call and then does what `script` holds for it, or succeeds."""

    calls: list[str] = field(default_factory=list)
    failures: list[FailureInput] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    script: dict[str, Callable[[], None]] = field(default_factory=dict)
    essays: tuple[UUID, ...] = field(default_factory=lambda: (uuid4(), uuid4()))

    def __post_init__(self) -> None:
        if not self.claims:
            self.claims = [go_on(self.essays)]

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.script.get(name, lambda: None)()

    @activity.defn
    async def claim_assessment(self, claim: ClaimInput) -> Claim:
        assert isinstance(claim.assessment_id, UUID)
        self._call("claim_assessment")
        return self.claims.pop(0) if len(self.claims) > 1 else self.claims[0]

    @activity.defn
    async def score_rules(self, run: RunInput) -> int:
        assert run.run == 1
        self._call("score_rules")
        return 8

    @activity.defn
    async def score_essays_locally(self, batch: EssaysInput) -> EssaysResult:
        self._call("score_essays_locally")
        return EssaysResult(scored=len(batch.essays), needs_review=0, degraded_reasons=("essay_grader_not_configured",))

    @activity.defn
    async def retrieve_evidence(self, run: RunInput) -> EvidenceResult:
        assert run.revision == 1
        self._call("retrieve_evidence")
        return EvidenceResult(gaps=3, traces=30, degraded_reasons=())

    @activity.defn
    async def blend_recommendations(self, run: RunInput) -> int:
        assert run.revision == 1
        self._call("blend_recommendations")
        return 5

    @activity.defn
    async def publish_result(self, run: RunInput) -> Publication:
        self._call("publish_result")
        return Publication(
            assessment_id=run.assessment_id,
            recommendation_id=derived_id("recommendation", run.assessment_id),
            revision=run.revision,
            degraded_reasons=("essay_grader_not_configured",),
            needs_review=False,
        )

    @activity.defn
    async def mark_failed(self, failure: FailureInput) -> AssessmentStatus:
        self._call("mark_failed")
        self.failures.append(failure)
        return AssessmentStatus.FAILED

    def all(self) -> list[Callable[..., object]]:
        return [
            self.claim_assessment,
            self.score_rules,
            self.score_essays_locally,
            self.retrieve_evidence,
            self.blend_recommendations,
            self.publish_result,
            self.mark_failed,
        ]


def go_on(essays: tuple[UUID, ...] = ()) -> Claim:
    return Claim(outcome=ClaimOutcome.GO_ON, status=AssessmentStatus.AWAITING_ASYNC, run=1, revision=1, essays=essays)


@dataclass
class Rehearsal:
    """A running worker of scripted activities, and the way to start a run on it."""

    environment: WorkflowEnvironment
    activities: ScriptedActivities
    queue: str

    async def start(self, *, expires_in: timedelta = timedelta(hours=72), submit: bool = True) -> Handle:
        now = await self.environment.get_current_time()
        return await self.environment.client.start_workflow(
            AssessmentWorkflow.run,
            AssessmentInput(assessment_id=uuid4(), expires_at=now + expires_in),
            id=f"assessment-{uuid4()}",
            task_queue=self.queue,
            start_signal="submit" if submit else None,
        )
