"""Feedback built from the levels: what the next level of each criterion requires. It says nothing about the text."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final

from domain.assessments.questions import Criterion, EssayRubric

_REFERENCE: Final = re.compile(r"As (?P<level>[^,]{1,100}), (?:and )?(?P<rest>.+)", re.DOTALL)


def next_steps(rubric: EssayRubric, levels: Mapping[str, str]) -> str:
    """Return a line for each criterion, with its percentage of the points and what the next level requires."""
    return "\n".join(_next_step(criterion, levels[criterion.key]) for criterion in rubric.criteria)


def percentage(share: Decimal | Fraction) -> str:
    """Format a share 0..1 for students, such as "67 %"."""
    return f"{round(100 * share)} %"


def full_descriptor(criterion: Criterion, place: int) -> str:
    """Return the descriptor of a level. A reference such as "As Proficient, and …" becomes that level's descriptor."""
    descriptor = criterion.levels[place].descriptor
    reference = _REFERENCE.fullmatch(descriptor)
    lower = [level.name for level in criterion.levels[:place]]
    if reference is None or reference["level"] not in lower:
        return descriptor
    basis = full_descriptor(criterion, lower.index(reference["level"]))
    return f"{basis.rstrip('. ')}. In addition: {reference['rest']}"


def _next_step(criterion: Criterion, level: str) -> str:
    place = [each.name for each in criterion.levels].index(level)
    highest = criterion.levels[-1]
    share = percentage(Fraction(criterion.levels[place].points) / Fraction(highest.points))
    if place + 1 == len(criterion.levels):
        return f"{criterion.name}: {share}, the highest level."
    return f"{criterion.name}: {share}. The next level asks for this: {full_descriptor(criterion, place + 1)}"
