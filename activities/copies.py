"""Give essays the earlier answers of other students that they may be copied from."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from activities.essays import essay_of, is_answered_essay
from domain.database import Database
from domain.errors import AnalysisFailed, Erased, NotFound
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

    async def add_missing(self, assessment_id: UUID) -> bool:
        """Store the fingerprints of the assessment's essays, and return whether it still exists and is not erased.

        The assessment is locked while they are stored, so that retention does not delete its answers meanwhile.
        """
        async with self.database.statement() as uow:
            items = await uow.assessments.items(assessment_id)
        essays = [essay_of(items, item.snapshot_id) for item in items if is_answered_essay(item)]
        shingles = [await self._fingerprint(essay) for essay in essays]
        try:
            async with self.database.transaction() as uow:
                await uow.assessments.lock(assessment_id)
                await uow.fingerprints.add(
                    assessment_id, {essay.snapshot_id: each for essay, each in zip(essays, shingles, strict=True)}
                )
                await uow.commit()
        except (NotFound, Erased):
            return False
        return True

    async def _fingerprint(self, essay: Essay) -> tuple[int, ...]:
        try:
            return await self.analysis.run(fingerprint, essay.text, essay.prompt, essay.rubric)
        except AnalysisFailed:
            return ()
