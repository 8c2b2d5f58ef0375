"""Build a rubric, labelled answers and essays for tests of graders."""

from dataclasses import replace
from typing import Any

from domain.assessments.questions import Anchor, EssayRubric
from domain.grading.rubrics import Essay
from domain.grading.scores import EssayScore
from tests.domain.builders import an_id, criterion, essay

PROMPT = "The shop's revenue fell last week. How do you find out why?"
WEAK = "Revenue fell because people save money and the weather was bad, and a discount is always a good idea."
FAIR = "I would check whether the data of last week is complete, and then compare it with the week before it."
GOOD = (
    "I count the payment rows of each order since the 3rd, because 2 rows double the revenue. Then I compare 8 weeks. "
    "The decision waits until the 40 doubled orders are repaired."
)
BEST = (
    f"{GOOD} I report the difference with its range, say what is not known, and name who repairs the join by the 12th."
)
NAMES = ("Missing", "Emerging", "Proficient", "Strong")


def labelled(*texts: str) -> tuple[Anchor, ...]:
    """Answers at the levels Missing, Emerging, Proficient and Strong in turn."""
    return tuple(
        Anchor(text=text, levels={"cause": NAMES[i % 4], "remedy": NAMES[i % 4]}) for i, text in enumerate(texts)
    )


RUBRIC = essay(
    criterion("cause"),
    criterion("remedy", 0, 1, 3, 6),
    anchors=labelled(
        "It was the weather, and people save their money, so revenue fell.",
        "Is the data of last week complete? I compare it with the week before.",
        "I count payment rows per order since the 3rd and compare 8 weeks; 40 orders are doubled.",
        "I count payment rows per order, compare 8 weeks, give the difference's range and say who repairs the join.",
    ),
)
SCORED = labelled(WEAK, FAIR, GOOD, BEST, f"{WEAK} Surely.", f"{FAIR} Surely.", f"{GOOD} Surely.", f"{BEST} Surely.")
"""Answers labelled by reviewers, in addition to those of the rubric."""


def an_essay(
    text: str, rubric: EssayRubric = RUBRIC, name: str = "essay", version: str = "v1", **changes: Any
) -> Essay:
    valid = Essay(
        snapshot_id=an_id(name), prompt=PROMPT, rubric=rubric, rubric_version=version, text=text, labelled=SCORED
    )
    return replace(valid, **changes)


def level(score: EssayScore) -> int:
    """Return the sum of the levels of all criteria."""
    return sum(NAMES.index(rating.level) for rating in score.ratings)
