"""The essay of an assessment as graders take it."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from domain.assessments.questions import EssayRubric, Item
from domain.errors import CorruptData
from domain.grading.rubrics import Essay

MOST_LOST: Final = 4
"""Lost attempts after which an essay is left to a person. An attempt is lost when its worker crashed or its time ran
out. It is fewer than the attempts of `score_essay`, so that the last of those can still record it."""


def essay_of(items: Iterable[Item], snapshot_id: UUID) -> Essay:
    """The answered essay among the items.

    Raises:
        CorruptData: there is none of that id.
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
    raise CorruptData(f"Item {snapshot_id} is no answered essay")
