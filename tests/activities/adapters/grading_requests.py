"""Grading requests for a language model."""

from typing import Any

import pytest

from domain.assessments.questions import Anchor, EssayRubric
from domain.errors import AppError
from domain.grading.model_grading import GradingRequest
from domain.grading.ports import GradingModel
from domain.grading.rubrics import Essay
from tests.domain.builders import an_id, essay

TEXT = "The revenue fell because the join doubles orders. I would repair the join, and then count again."
PROMPT = "Revenue fell by $18 last week. Why, and what do you do?"
NAMES = ("Missing", "Emerging", "Proficient", "Strong")


def anchors(number: int) -> tuple[Anchor, ...]:
    """Labelled answers with rising levels."""
    return tuple(
        Anchor(text=f"Labelled answer {place}.", levels=dict.fromkeys(("cause", "remedy"), NAMES[place * 4 // number]))
        for place in range(number)
    )


def a_request(
    text: str = TEXT, *, name: str = "essay", rubric: EssayRubric | None = None, **changes: Any
) -> GradingRequest:
    asked = Essay(snapshot_id=an_id(name), prompt=PROMPT, rubric=rubric or essay(), rubric_version="v" * 64, text=text)
    return GradingRequest(essay=asked, text=text, **changes)


async def error_of(model: GradingModel, text: str = TEXT) -> AppError:
    """Send a request that fails, and return the error."""
    with pytest.raises(AppError) as raised:
        await model.complete(a_request(text))
    return raised.value
