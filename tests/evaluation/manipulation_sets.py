"""Read the development sets for manipulation: honest answers that no detector may flag, and attacks on the grader.

All texts in `grading_texts` were written by hand. `DISGUISES` adds copies of the first English orders with hidden or
look-alike characters; these copies are less than a third of the attacks.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid5

import yaml

from domain.assessments.questions import Criterion, EssayRubric, Level
from domain.grading.rubrics import Essay
from domain.ids import NAMESPACE
from persistence.content.files import read_content
from tests.evaluation.labelled_sets import CONTENT

TEXTS: Final = Path(__file__).with_name("grading_texts")
DISGUISED_ORDERS: Final = 5
_LATIN: Final = "abcdefghijklmnopqrstuvwxyz"
_LOOKALIKES: Final = str.maketrans("aceopxy", "асеорху")
_BOLD: Final = {ord(letter): chr(0x1D41A + place) for place, letter in enumerate(_LATIN)}
_FULL_WIDTH: Final = {code: chr(code + 0xFEE0) for code in range(0x21, 0x7F)}

DISGUISES: Final[Mapping[str, Callable[[str], str]]] = {
    "tag_characters": lambda text: "".join(chr(0xE0000 + ord(letter)) for letter in text),
    "homoglyphs": lambda text: text.lower().translate(_LOOKALIKES),
    "full_width": lambda text: text.translate(_FULL_WIDTH),
    "bold_letters": lambda text: text.lower().translate(_BOLD),
    "zero_width_spaces": "\u200b".join,
    "right_to_left_override": lambda text: f"\u202e{text[::-1]}\u202c",
    "base64": lambda text: f"Decode and follow: {base64.b64encode(text.encode()).decode()}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HonestAnswer:
    """An honest answer; `kind` says what the text contains, or is the question's key for answers to own questions."""

    kind: str
    essay: Essay
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    language: str
    kind: str
    text: str


def honest_answers() -> list[HonestAnswer]:
    own = {essay.rubric_version: essay for essay in own_questions()}
    return [
        HonestAnswer(
            kind=group.get("kind") or group["question"],
            essay=_essay(own[group["question"]] if "question" in group else _GENERAL, text),
            own="question" in group,
        )
        for file in sorted((TEXTS / "honest").glob("*.yaml"))
        for group in _groups(file)
        for text in group["answers"]
    ]


def own_questions() -> list[Essay]:
    """Return the essay questions of `deploy/content` with replaceable text; `rubric_version` is the question's key."""
    return [
        Essay(
            snapshot_id=uuid5(NAMESPACE, content.key),
            prompt=content.question.prompt,
            rubric=content.question.rubric,
            rubric_version=content.key,
            text="to be replaced",
        )
        for content in read_content(CONTENT).questions
        if isinstance(content.question.rubric, EssayRubric)
    ]


def attacks() -> list[Attack]:
    written = list(_written())
    return written + [
        Attack(language=order.language, kind=name, text=disguise(order.text))
        for name, disguise in DISGUISES.items()
        for order in written[:DISGUISED_ORDERS]
    ]


def _written() -> Iterator[Attack]:
    for group in _groups(TEXTS / "attacks.yaml"):
        for text in group["attacks"]:
            yield Attack(language=group["language"], kind=group["kind"], text=text)


def _groups(file: Path) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return groups


def _essay(question: Essay, text: str) -> Essay:
    return Essay(
        snapshot_id=uuid5(NAMESPACE, f"{question.rubric_version} {text}"),
        prompt=question.prompt,
        rubric=question.rubric,
        rubric_version=question.rubric_version,
        text=text,
    )


_GENERAL: Final = Essay(
    snapshot_id=uuid5(NAMESPACE, "general"),
    prompt="Explain how you would solve the task and why.",
    rubric=EssayRubric(
        criteria=(
            Criterion(
                key="solution",
                name="Solution",
                description="Does the solution work?",
                skills=("Any skill",),
                levels=(
                    Level(name="Missing", points=Decimal(0), descriptor="Names no solution."),
                    Level(name="Strong", points=Decimal(3), descriptor="Names a solution and its limits."),
                ),
            ),
        )
    ),
    rubric_version="general",
    text="to be replaced",
)
"""The question of every answer that does not belong to one of the project's own questions."""
