"""Give an essay the reviewed answers that the language model sees as examples.

The choice is stored before the first call. Later executions use the stored one, so a repeated call is the same call.
"""

from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from domain.database import Database
from domain.errors import AnalysisFailed
from domain.grading.examples import as_examples, choose_examples
from domain.grading.ledger import CompletionKey
from domain.grading.ports import GradingModel, TextAnalysis
from domain.grading.rubrics import Essay, Example
from domain.organizations import OrganizationSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSource:
    """All computation on the answers runs in `analysis`, which has a time limit."""

    database: Database
    analysis: TextAnalysis

    async def add(
        self, essay: Essay, key: CompletionKey, model: GradingModel, settings: OrganizationSettings
    ) -> tuple[Essay, CompletionKey]:
        """Return the essay and the key of its calls with the examples.

        No example is added if the model takes none, or if the organization does not share reviewed answers with it.
        """
        if not model.most_examples or not settings.shares_reviewed_answers(hosted_by_openai=model.hosted_by_openai):
            return essay, key
        examples = await self._examples(essay, key, model.most_examples)
        return replace(essay, examples=examples), replace(key, examples=tuple(each.review_id for each in examples))

    async def drop(self, key: CompletionKey) -> None:
        """Grade without examples from now on."""
        async with self.database.statement() as uow:
            await uow.grading_examples.drop(key)

    async def _examples(self, essay: Essay, key: CompletionKey, most: int) -> tuple[Example, ...]:
        async with self.database.statement() as uow:
            chosen = await uow.grading_examples.chosen(key)
        if chosen is None:
            chosen = await self._choose(essay, key, most)
        async with self.database.statement() as uow:
            answers = await uow.grading_examples.reviewed(key, chosen)
        try:
            return await self.analysis.run(as_examples, answers)
        except AnalysisFailed:
            log.warning("examples_left_out", essay=str(essay.snapshot_id))
            await self.drop(key)
            return ()

    async def _choose(self, essay: Essay, key: CompletionKey, most: int) -> tuple[UUID, ...]:
        """Store a choice and return it. If the answers cannot be analysed, it has no examples."""
        async with self.database.statement() as uow:
            candidates = await uow.grading_examples.candidates(key)
        examples: tuple[Example, ...] = ()
        try:
            examples = await self.analysis.run(choose_examples, essay, candidates, most)
        except AnalysisFailed:
            log.warning("examples_left_out", essay=str(essay.snapshot_id))
        async with self.database.statement() as uow:
            return await uow.grading_examples.choose(key, [each.review_id for each in examples])
