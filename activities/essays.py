"""Build the input of the graders from an assessment's items."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from domain.assessments.questions import EssayRubric, Item
from domain.database import Repositories
from domain.errors import CorruptData
from domain.grading.rubrics import Essay

MOST_LOST: Final = 4
"""The number of lost attempts after which a reviewer must grade an essay. An attempt is lost when its worker crashed or
it timed out. The limit is lower than the attempts of `score_essay`, so that the last attempt can record the outcome."""


def essay_of(items: Iterable[Item], snapshot_id: UUID) -> Essay:
    """Return the answered essay with that id.

    Raises:
        CorruptData: no item with that id is an answered essay.
    """
    for item in items:
        if item.snapshot_id == snapshot_id:
            match item.question.rubric, item.answer:
                case EssayRubric() as rubric, str() as text:
                    return Essay(
                        snapshot_id=item.snapshot_id,
                        prompt=item.question.prompt,
                        rubric=rubric,
                        rubric_version=item.question.version,
                        text=text,
                    )
    raise CorruptData(f"Item {snapshot_id} is not an answered essay")


def is_answered_essay(item: Item) -> bool:
    return isinstance(item.question.rubric, EssayRubric) and isinstance(item.answer, str)


async def with_reviews(uow: Repositories, assessment_id: UUID, essays: Sequence[Essay]) -> list[Essay]:
    """Return the essays with what the local grader needs: reviewed answers, and the organization's target of kappa."""
    labelled = await uow.reviews.labelled(assessment_id, [essay.rubric_version for essay in essays])
    _, settings = await uow.organizations.of_assessment(assessment_id)
    target = settings.review_target_kappa
    return [
        replace(essay, labelled=labelled.get(essay.rubric_version, ()), review_target_kappa=target) for essay in essays
    ]
