"""Build graded answers and labelled items for the tests of the evaluation."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from domain.assessments.questions import Anchor, Criterion, EssayRubric, Level
from tests.evaluation.agreement import Judged
from tests.evaluation.labelled_sets import LabelledItem


def judged(true: int, given: int | None, **changes: Any) -> Judged:
    """Build an answer with one criterion and a confidence of 0.8, or an abstention if `given` is `None`."""
    valid: dict[str, Any] = {
        "item": "an item",
        "trial": 0,
        "answer": 0,
        "true": (true,),
        "given": () if given is None else (given,),
        "confidences": () if given is None else (changes.get("confidence", 0.8),),
        "confidence": 0.8,
        "to_review": given is None,
    }
    return Judged(**(valid | changes))


def judged_all(pairs: Sequence[tuple[int, int]], **changes: Any) -> list[Judged]:
    """Build an answer for each pair of people's level and the grader's level."""
    return [judged(true, given, answer=place, **changes) for place, (true, given) in enumerate(pairs)]


def an_item(*answers: tuple[str, int], own: bool = False) -> LabelledItem:
    """Build a question with one criterion, worth one point, with labelled answers."""
    levels = (
        Level(name="Missing", points=Decimal(0), descriptor="Names no cause."),
        Level(name="Found", points=Decimal(1), descriptor="Names the cause."),
    )
    criterion = Criterion(key="cause", name="Cause", description="Is it named?", skills=("SQL",), levels=levels)
    return LabelledItem(
        key="an item",
        prompt="Why did the revenue fall?",
        rubric=EssayRubric(criteria=(criterion,)),
        answers=tuple(Anchor(text=text, levels={"cause": levels[level].name}) for text, level in answers),
        own=own,
    )
