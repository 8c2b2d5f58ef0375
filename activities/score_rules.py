"""Claim a run and score all questions that rules can score."""

from dataclasses import replace
from typing import TypeAlias
from uuid import UUID

from temporalio import activity

from activities.claim_assessment import Claim, ClaimInput, ClaimOutcome, claim_run
from activities.steps import RunInput, record_failures, run_step
from domain.assessments.ports import JobKey
from domain.assessments.steps import Step, answered_essays
from domain.database import Database
from domain.grading.rules import score_rules
from domain.grading.scores import RuleScores

RulesInput: TypeAlias = RunInput | ClaimInput
"""A `RunInput` is of a run that an earlier build started, and that `claim_assessment` has claimed.

Such a build cannot read a `ClaimInput`. Its workers fail to decode it, so Temporal retries until a worker of this build
gets the activity.
"""


class ScoreRules:
    def __init__(self, database: Database, *, by_model: bool = False) -> None:
        self._database = database
        self._by_model = by_model

    @activity.defn
    async def score_rules(self, wanted: RulesInput) -> int | Claim:
        """Claim the run and score its rules in one transaction (idempotent), and return the claim.

        For a `RunInput`, only score; return how many items were scored.
        """
        if isinstance(wanted, ClaimInput):
            return await self._claim_and_score(wanted.assessment_id)

        async def work() -> RuleScores:
            async with self._database.statement() as uow:
                items = await uow.assessments.items(wanted.assessment_id)
            return score_rules(items)

        return len((await run_step(self._database, wanted.job(Step.SCORE_RULES), RuleScores, work)).scores)

    async def _claim_and_score(self, assessment_id: UUID) -> Claim:
        """Claim and score. Later steps compute the scores again.

        The statement that ends the job also stores the scores, because a build from before this step claimed runs reads
        them there. After a rollback it can then finish the run.
        """
        key: JobKey | None = None
        try:
            async with self._database.transaction() as uow:
                claim = await claim_run(uow, assessment_id, by_model=self._by_model)
                if claim.outcome is ClaimOutcome.GO_ON:
                    run = RunInput(assessment_id=assessment_id, run=claim.run, revision=claim.revision)
                    key = run.job(Step.SCORE_RULES)
                    items = await uow.assessments.items(assessment_id)
                    claim = replace(claim, essays=answered_essays(items))
                    await uow.jobs.succeed(key, score_rules(items))
                await uow.commit()
        except Exception as error:
            if key is not None:
                await record_failures(self._database, [key], error)
            raise
        return claim
