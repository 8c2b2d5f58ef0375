"""Scripted activities under the real names."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.await_provider import AwaitInput
from activities.begin_revision import RevisionPlan, RevisionRequest
from activities.blend_recommendations import BlendInput
from activities.claim_assessment import Claim, ClaimInput, ClaimOutcome
from activities.end_healing import HealingEnd
from activities.mark_failed import FailureInput, FailureResult
from activities.retrieve_evidence import EvidenceResult
from activities.score_essay import EssayInput, EssayOutcome, EssayProgress
from activities.score_essays_locally import EssaysInput, EssaysResult, LeftEssay
from activities.score_rules import RulesInput
from activities.steps import RunInput
from domain.assessments.lifecycle import AssessmentStatus, Healing
from domain.assessments.results import Publication
from domain.ids import derived_id
from workflows.assessment import AssessmentInput, AssessmentOutcome, AssessmentWorkflow
from workflows.revision import RevisionInput, RevisionOutcome, RevisionWorkflow

Handle: TypeAlias = WorkflowHandle[AssessmentWorkflow, AssessmentOutcome]
RevisionHandle: TypeAlias = WorkflowHandle[RevisionWorkflow, RevisionOutcome]


@dataclass
class ScriptedActivities:
    """Each activity records its call, then runs its function in `script`, or succeeds without one."""

    calls: list[str] = field(default_factory=list)
    failures: list[FailureInput] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    script: dict[str, Callable[[], None]] = field(default_factory=dict)
    essays: tuple[UUID, ...] = field(default_factory=lambda: (uuid4(), uuid4()))
    bought: list[EssayInput] = field(default_factory=list)
    progress: list[EssayProgress] = field(default_factory=list)
    left: list[LeftEssay] = field(default_factory=list)
    wishes: list[RevisionRequest] = field(default_factory=list)
    plans: list[RevisionPlan] = field(default_factory=list)
    ends: list[HealingEnd] = field(default_factory=list)
    evidence: EvidenceResult = field(default=EvidenceResult(gaps=3, traces=30, degraded_reasons=()))
    row: AssessmentStatus = AssessmentStatus.FAILED
    heals: bool = False
    held: bool = False
    needs_review: bool = False

    def __post_init__(self) -> None:
        if not self.claims:
            self.claims = [claimed(self.essays)]

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.script.get(name, lambda: None)()

    def _next_claim(self, claim: ClaimInput) -> Claim:
        assert isinstance(claim.assessment_id, UUID)
        return self.claims.pop(0) if len(self.claims) > 1 else self.claims[0]

    @activity.defn
    async def claim_assessment(self, claim: ClaimInput) -> Claim:
        self._call("claim_assessment")
        return self._next_claim(claim)

    @activity.defn
    async def score_rules(self, wanted: RulesInput) -> int | Claim:
        self._call("score_rules")
        if isinstance(wanted, RunInput):
            assert wanted.run == 1
            return 8
        return self._next_claim(wanted)

    @activity.defn
    async def score_essay(self, wanted: EssayInput) -> EssayProgress:
        """Return the next value of `progress`, and at the end that the essay is scored."""
        self.bought.append(wanted)
        self._call("score_essay")
        return self.progress.pop(0) if self.progress else SCORED

    @activity.defn
    async def begin_revision(self, wish: RevisionRequest) -> RevisionPlan:
        """Return the next plan of `plans`, and at the end an empty plan."""
        self.wishes.append(wish)
        self._call("begin_revision")
        return self.plans.pop(0) if self.plans else RevisionPlan()

    @activity.defn
    async def await_provider(self, wanted: AwaitInput) -> None:
        """Return at once, as if the provider had just answered."""
        assert isinstance(wanted.assessment_id, UUID)
        self._call("await_provider")

    @activity.defn
    async def end_healing(self, end: HealingEnd) -> Healing:
        self._call("end_healing")
        self.ends.append(end)
        return end.healing

    @activity.defn
    async def score_essays_locally(self, batch: EssaysInput) -> EssaysResult:
        self._call("score_essays_locally")
        self.left += batch.essays
        return EssaysResult(scored=len(batch.essays), needs_review=0)

    @activity.defn
    async def retrieve_evidence(self, run: RunInput) -> EvidenceResult:
        assert run.run == 1
        self._call("retrieve_evidence")
        return self.evidence

    @activity.defn
    async def blend_recommendations(self, wanted: BlendInput) -> int | Publication:
        self._call("blend_recommendations")
        if isinstance(wanted, RunInput):
            assert wanted.run == 1
            return 5
        return self._publication(wanted.run)

    @activity.defn
    async def publish_result(self, run: RunInput) -> Publication:
        self._call("publish_result")
        return self._publication(run)

    def _publication(self, run: RunInput) -> Publication:
        return Publication(
            assessment_id=run.assessment_id,
            recommendation_id=derived_id("recommendation", run.assessment_id),
            revision=run.revision,
            degraded_reasons=("essay_grader_not_configured",),
            needs_review=self.needs_review,
            heals=self.heals,
            held=self.held,
        )

    @activity.defn
    async def mark_failed(self, failure: FailureInput) -> FailureResult:
        self._call("mark_failed")
        self.failures.append(failure)
        return FailureResult(status=self.row)

    def all(self) -> list[Callable[..., object]]:
        return [
            self.claim_assessment,
            self.score_rules,
            self.score_essay,
            self.begin_revision,
            self.await_provider,
            self.end_healing,
            self.score_essays_locally,
            self.retrieve_evidence,
            self.blend_recommendations,
            self.publish_result,
            self.mark_failed,
        ]


SCORED = EssayProgress(outcome=EssayOutcome.SCORED)


def claimed(essays: tuple[UUID, ...] = ()) -> Claim:
    return Claim(outcome=ClaimOutcome.GO_ON, status=AssessmentStatus.AWAITING_ASYNC, run=1, revision=1, essays=essays)


@dataclass
class WorkflowHarness:
    """A running worker of scripted activities, with methods that start runs on it."""

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

    async def revise(self, *, signal: str | None = None, retry_after_s: float = 0.0) -> RevisionHandle:
        assessment_id = uuid4()
        return await self.environment.client.start_workflow(
            RevisionWorkflow.run,
            RevisionInput(assessment_id=assessment_id, retry_after_s=retry_after_s),
            id=f"revision-{assessment_id}",
            task_queue=self.queue,
            start_signal=signal,
        )
