"""Options that ask for one answer per essay, and the stored score of an essay."""

from activities.score_essay import EssayInput, GradingOptions
from domain.assessments.steps import Step
from domain.database import Database
from domain.grading.ledger import SpendingLimits
from domain.grading.scores import EssayScore

ONE_SAMPLE = GradingOptions(samples=1, limits=SpendingLimits())


async def score(database: Database, wanted: EssayInput) -> EssayScore:
    async with database.transaction() as uow:
        return await uow.jobs.output(wanted.run.job(Step.SCORE_ESSAY, wanted.essay), EssayScore)
