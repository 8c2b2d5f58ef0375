"""Give essays the earlier answers of other students that they may be copied from."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.database import Database
from domain.errors import AnalysisFailed
from domain.grading.copies import OtherAnswers, fingerprint
from domain.grading.ports import TextAnalysis
from domain.grading.rubrics import Essay


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySearch:
    """All computation on the answers runs in `analysis`, which has a time limit."""

    database: Database
    analysis: TextAnalysis

    async def add(self, assessment_id: UUID, essays: Sequence[Essay]) -> list[Essay]:
        """Store the essays' fingerprints and return the essays with the answers to compare them with.

        An essay that cannot be analysed is compared with none; grading then leaves it to a reviewer.
        """
        shingles = await asyncio.gather(*map(self._fingerprint, essays))
        by_essay = {essay.snapshot_id: each for essay, each in zip(essays, shingles, strict=True)}
        async with self.database.statement() as uow:
            found = await uow.fingerprints.add(assessment_id, by_essay)
        return [replace(essay, others=found.get(essay.snapshot_id, OtherAnswers())) for essay in essays]

    async def _fingerprint(self, essay: Essay) -> tuple[int, ...]:
        try:
            return await self.analysis.run(fingerprint, essay.text, essay.prompt, essay.rubric)
        except AnalysisFailed:
            return ()
