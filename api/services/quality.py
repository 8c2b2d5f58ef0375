"""Statistics about an organization's grades. They run in a thread, because they need up to seconds of CPU time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.quality.agreement import Agreement, ReviewedAnswer, Sample, agreement
from domain.quality.fairness import Fairness, fairness
from domain.quality.items import ItemStatistics, item_statistics
from domain.quality.scored_assessments import ItemVersion
from persistence.queries.quality import MAX_ROWS, AskedQuestion, QualityQueries, ReviewFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementReport:
    """The agreement on all reviewed answers (None) and on each sample. `newest_only`: there may be older answers."""

    samples: Mapping[Sample | None, Agreement]
    newest_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReport:
    """The figures of each item version with its question, in the order of the assessments."""

    assessments: int
    newest_only: bool
    items: Sequence[tuple[ItemVersion, AskedQuestion, ItemStatistics]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessReport:
    fairness: Fairness
    newest_only: bool
    questions: Mapping[ItemVersion, AskedQuestion]


class QualityService:
    def __init__(self, queries: QualityQueries, organization_id: UUID) -> None:
        self._queries = queries
        self._organization_id = organization_id

    async def agreement(self, found: ReviewFilter) -> AgreementReport:
        answers = await self._queries.reviewed_answers(self._organization_id, found)
        samples = await asyncio.to_thread(_by_sample, answers)
        return AgreementReport(samples=samples, newest_only=len(answers) >= MAX_ROWS)

    async def items(self, role_id: UUID | None) -> ItemReport:
        scored = await self._queries.scored_assessments(self._organization_id, role_id)
        questions = await self._queries.asked_questions(self._organization_id, scored.snapshots.values())
        figures = await asyncio.to_thread(item_statistics, scored.assessments)
        return ItemReport(
            assessments=len(scored.assessments),
            newest_only=scored.newest_only,
            items=[(version, question, figures[version]) for version, question in questions.items()],
        )

    async def fairness(self, role_id: UUID) -> FairnessReport:
        scored = await self._queries.scored_assessments(self._organization_id, role_id)
        questions = await self._queries.asked_questions(self._organization_id, scored.snapshots.values())
        found = await asyncio.to_thread(fairness, scored.assessments)
        return FairnessReport(fairness=found, newest_only=scored.newest_only, questions=questions)


def _by_sample(answers: Sequence[ReviewedAnswer]) -> dict[Sample | None, Agreement]:
    return {
        sample: agreement([answer for answer in answers if sample in (None, answer.sample)])
        for sample in (None, *Sample)
    }
