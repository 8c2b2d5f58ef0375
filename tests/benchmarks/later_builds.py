"""The assessment workflow of other builds: an earlier one, a later one with a patch and a later one with a bug."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.claim_assessment import Claim
    from domain.assessments.results import Publication
    from workflows.assessment import AssessmentInput, AssessmentOutcome, AssessmentWorkflow
    from workflows.policies import versioning


@workflow.defn(name="AssessmentWorkflow", versioning_behavior=versioning("AssessmentWorkflow"))
class Earlier(AssessmentWorkflow):
    """A workflow that claims and publishes with activities of their own, as builds before the patch do."""

    @workflow.init
    def __init__(self, assessment: AssessmentInput) -> None:
        super().__init__(assessment)

    @workflow.run
    async def run(self, assessment: AssessmentInput) -> AssessmentOutcome:
        return await super().run(assessment)

    def _takes_fewer_steps(self) -> bool:
        return False


@workflow.defn(name="AssessmentWorkflow", versioning_behavior=versioning("AssessmentWorkflow"))
class Patched(AssessmentWorkflow):
    """A workflow that sleeps before it scores. The change is behind a patch."""

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
    """A workflow with an unexpected error. Temporal retries the workflow task for ever."""

    @workflow.init
    def __init__(self, assessment: AssessmentInput) -> None:
        super().__init__(assessment)

    @workflow.run
    async def run(self, assessment: AssessmentInput) -> AssessmentOutcome:
        return await super().run(assessment)

    async def _process(self, claim: Claim) -> Publication:
        raise RuntimeError(f"no such run: {claim.run}")
