"""Feedback from levels: whole percentages, and what the next level requires."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from domain.assessments.questions import Criterion, EssayRubric, Level
from domain.grading.feedback import full_descriptor, next_steps
from persistence.content.files import read_content
from tests.domain.builders import criterion, essay, levels

CONTENT = Path(__file__).parents[2] / "deploy" / "content"


def a_criterion(*descriptors: str) -> Criterion:
    names = ("Missing", "Emerging", "Proficient", "Strong")
    return criterion(
        "cause",
        levels=tuple(
            Level(name=name, points=Decimal(place), descriptor=text)
            for place, (name, text) in enumerate(zip(names, descriptors, strict=False))
        ),
    )


def project_criteria() -> list[Criterion]:
    rubrics = [each.question.rubric for each in read_content(CONTENT).questions]
    return [each for rubric in rubrics if isinstance(rubric, EssayRubric) for each in rubric.criteria]


def test_a_line_has_the_name_the_share_and_what_the_next_level_asks_for() -> None:
    rubric = EssayRubric(criteria=(a_criterion("Guesses.", "Reads logs.", "Measures.", "Measures twice."),))

    feedback = next_steps(rubric, {"cause": "Emerging"})

    assert feedback == "Finds the cause: 33 %. The next level asks for this: Measures."


def test_the_highest_level_asks_for_nothing_more() -> None:
    rubric = EssayRubric(criteria=(a_criterion("Guesses.", "Reads logs."),))

    assert next_steps(rubric, {"cause": "Emerging"}) == "Finds the cause: 100 %, the highest level."


def test_every_criterion_has_a_line() -> None:
    feedback = next_steps(essay(), {each.key: each.levels[0].name for each in essay().criteria})

    assert len(feedback.splitlines()) == len(essay().criteria)


@pytest.mark.parametrize(
    ("strong", "expected"),
    [
        ("As Proficient, and says why.", "Measures. In addition: says why."),
        ("As Proficient, with a number.", "Measures. In addition: with a number."),
        ("As Emerging, and says why.", "Reads logs. In addition: says why."),
        ("As everybody, and says why.", "As everybody, and says why."),
        ("As Strong, and says why.", "As Strong, and says why."),
    ],
)
def test_a_descriptor_that_refers_to_a_lower_level_includes_it(strong: str, expected: str) -> None:
    assert full_descriptor(a_criterion("Guesses.", "Reads logs.", "Measures.", strong), 3) == expected


def test_references_are_followed_to_the_end() -> None:
    chain = a_criterion("Guesses.", "Reads logs.", "As Emerging, and measures.", "As Proficient, and says why.")

    assert full_descriptor(chain, 3) == "Reads logs. In addition: measures. In addition: says why."


def test_the_feedback_of_the_projects_questions_refers_to_no_other_level() -> None:
    texts = [full_descriptor(each, place) for each in project_criteria() for place in range(len(each.levels))]

    referring = re.compile(r"\bAs (Missing|Emerging|Proficient|Strong)\b|\bBoth of these\b")
    assert not [text for text in texts if referring.search(text)]


def test_levels_of_other_points_give_other_shares() -> None:
    rubric = EssayRubric(criteria=(criterion("cause", levels=levels(0, 1, 2, 4)),))

    assert "50 %" in next_steps(rubric, {"cause": "Proficient"})
