"""Score all questions that rules can score."""

from temporalio import activity

from activities.steps import RunInput, run_step
from domain.assessments.steps import Step
from domain.database import Database
from domain.grading.rules import score_rules
from domain.grading.scores import RuleScores


class ScoreRules:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def score_rules(self, run: RunInput) -> int:
        """Return how many items were scored."""

        async def work() -> RuleScores:
            async with self._database.statement() as uow:
                items = await uow.assessments.items(run.assessment_id)
            return score_rules(items)

        return len((await run_step(self._database, run.job(Step.SCORE_RULES), RuleScores, work)).scores)
