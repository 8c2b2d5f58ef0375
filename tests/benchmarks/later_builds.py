"""Assessments as later builds run them: one that is changed behind a patch, and one that has a bug."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.claim_assessment import Claim
    from domain.assessments.results import Publication
    from workflows.assessment import AssessmentInput, AssessmentOutcome, AssessmentWorkflow
    from workflows.policies import versioning


@workflow.defn(name="AssessmentWorkflow", versioning_behavior=versioning("AssessmentWorkflow"))
class Patched(AssessmentWorkflow):
    """Waits a moment before it scores, where the run came this far with this code."""

    @workflow.init
    def __init__(self, assessment: AssessmentInput) -> None:
        super().__init__(assessment)

    @workflow.run
    async def run(self, assessment: AssessmentInput) -> AssessmentOutcome:
        return await super().run(assessment)

    async def _process(self, claim: Claim) -> Publication:
        if workflow.patched("wait-before-scoring"):
            await workflow.sleep(timedelta(milliseconds=100))
        return await super()._process(claim)


@workflow.defn(name="AssessmentWorkflow", versioning_behavior=versioning("AssessmentWorkflow"))
class Broken(AssessmentWorkflow):
    """Raises what no workflow may raise: Temporal repeats the task for ever."""

    @workflow.init
    def __init__(self, assessment: AssessmentInput) -> None:
        super().__init__(assessment)

    @workflow.run
    async def run(self, assessment: AssessmentInput) -> AssessmentOutcome:
        return await super().run(assessment)

    async def _process(self, claim: Claim) -> Publication:
        raise RuntimeError(f"no such run: {claim.run}")
