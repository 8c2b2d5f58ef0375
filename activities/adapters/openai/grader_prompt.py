"""What a language model is told: the prompt file with a question's rubric, then the essay, and the reply's schema.

Rubric and question come first and are the same bytes for every essay of a question, which a provider's cache rewards.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Any, Final, TypeAlias
from uuid import UUID

from domain.assessments.questions import Anchor, Criterion, EssayRubric, Level
from domain.errors import CorruptData, Problem
from domain.grading.model_grading import GradingRequest, Rejected
from domain.grading.rubrics import Essay, rate
from domain.grading.wording import runs_of
from domain.ids import content_hash

Json: TypeAlias = dict[str, Any]

PROMPT_FILE: Final = Path(__file__).with_name("grader_prompt.md")
MARKER_BYTES: Final = 8

_PARTS: Final = (
    {"form", "question", "rubric", "examples"},
    {"marker", "answer"},
    {"problems"},
)
"""The names that each part of the prompt file replaces."""


class GraderPrompt:
    """The prompt file, read once. `key` makes markers that no student can guess; `examples` is how many are shown.

    `version` is the content hash of everything the model is told but the question, the essay and their marker.
    `wording` holds the runs of words in the instructions, which a student must not see.

    Raises:
        CorruptData: the file has other parts or names than it must have.
    """

    def __init__(self, key: bytes, *, examples: int, file: Path = PROMPT_FILE) -> None:
        self._key = key
        self._examples = examples
        self._question, self._answer, self._again = _parts(file.read_text("utf-8"))
        self.wording = runs_of(*(part.template for part in (self._question, self._answer, self._again)))
        sample = GradingRequest(essay=_SAMPLE, text=_SAMPLE.text, rejected=_SAMPLE_REJECTED)
        self.version = content_hash([self._messages(sample, "marker"), reply_schema(_SAMPLE.rubric), examples])

    def messages(self, wanted: GradingRequest) -> list[Json]:
        """The same for equal `wanted`."""
        return self._messages(wanted, self._marker(wanted))

    def _messages(self, wanted: GradingRequest, marker: str) -> list[Json]:
        rubric = wanted.essay.rubric
        question = self._question.substitute(
            form=json.dumps(_form(rubric), ensure_ascii=False),
            question=wanted.essay.prompt,
            rubric="\n\n".join(map(_criterion, rubric.criteria)),
            examples="\n\n".join(map(_example, _spread(rubric, self._examples))) or "There are none.",
        )
        answer = self._answer.substitute(marker=marker, answer=wanted.text)
        if wanted.rejected is not None:
            answer += "\n" + self._again.substitute(problems=_problems(rubric, wanted.rejected.problems))
        return [{"role": "system", "content": question}, {"role": "user", "content": answer}]

    def _marker(self, wanted: GradingRequest) -> str:
        """Follows from the snapshot, so that a retry sends the same; what the essay holds already is no marker."""
        name = wanted.essay.snapshot_id.bytes
        while (marker := hmac.digest(self._key, name, hashlib.sha256)[:MARKER_BYTES].hex()) in wanted.text:
            name += b"'"
        return marker


def reply_schema(rubric: EssayRubric) -> Json:
    """A strict JSON schema: every criterion once, in the rubric's order, with one of its own levels."""
    criteria = {each.key: _criterion_schema(each) for each in rubric.criteria}
    return _object(
        {
            "addresses_grader": {"type": "array", "items": {"type": "string"}},
            "criteria": _object(criteria),
            "answers_the_question": {"type": "boolean"},
            "feedback": {"type": "string"},
        }
    )


def _criterion_schema(criterion: Criterion) -> Json:
    """The level comes last: a model that has to say why first decides better."""
    return _object(
        {
            "rationale": {"type": "string"},
            "quotes": {"type": "array", "items": {"type": "string"}},
            "level": {"type": "string", "enum": [level.name for level in criterion.levels]},
        }
    )


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _form(rubric: EssayRubric) -> Json:
    """The schema as people write it down, for models that are given none."""
    return {
        "addresses_grader": [],
        "criteria": {
            each.key: {"rationale": "...", "quotes": ["..."], "level": " | ".join(level.name for level in each.levels)}
            for each in rubric.criteria
        },
        "answers_the_question": True,
        "feedback": "...",
    }


def _parts(text: str) -> tuple[Template, ...]:
    """What follows each heading, without the notes before the first one."""
    _, *parts = ("\n" + text).split("\n# ")
    templates = tuple(Template(part.partition("\n")[2].strip() + "\n") for part in parts)
    if [set(each.get_identifiers()) for each in templates] != list(_PARTS) or not all(
        map(Template.is_valid, templates)
    ):
        raise CorruptData("The prompt file must have its three parts, each with its own names after a dollar sign")
    return templates


def _criterion(criterion: Criterion) -> str:
    levels = "\n".join(f"- {level.name}: {level.descriptor}" for level in criterion.levels)
    return f"### {criterion.key}: {criterion.name}\n\n{criterion.description}\n\nLevels, the lowest first:\n\n{levels}"


def _example(anchor: Anchor) -> str:
    levels = ", ".join(f"{key}: {level}" for key, level in anchor.levels.items())
    return f"Example:\n\n{anchor.text}\n\nIts levels: {levels}"


def _spread(rubric: EssayRubric, number: int) -> Sequence[Anchor]:
    """At most `number` labelled answers, evenly from the worst to the best."""
    ranked = sorted(rubric.anchors, key=lambda anchor: sum(rate(rubric, anchor.levels).values()))
    if len(ranked) <= number or number < 2:  # noqa: PLR2004 - one of several would show only an end
        return ranked[:number]
    return [ranked[round(place * (len(ranked) - 1) / (number - 1))] for place in range(number)]


def _problems(rubric: EssayRubric, problems: Sequence[Problem]) -> str:
    """Only names of our own: what an essay made a model write must not come back as an instruction."""
    known = {criterion.key for criterion in rubric.criteria} | {"answer", "criteria"}
    named = dict.fromkeys(
        (each.field if each.field in known else "another criterion", each.problem) for each in problems
    )
    return "\n".join(f"- {field}: {problem}" for field, problem in named)


_SAMPLE: Final = Essay(
    snapshot_id=UUID(int=0),
    prompt="question",
    rubric=EssayRubric(
        criteria=(
            Criterion(
                key="key",
                name="name",
                description="description",
                skills=("skill",),
                levels=(
                    Level(name="low", points=Decimal(0), descriptor="below"),
                    Level(name="high", points=Decimal(1), descriptor="above"),
                ),
            ),
        ),
        anchors=(Anchor(text="example", levels={"key": "high"}),),
    ),
    rubric_version="sample",
    text="answer",
)
"""Stands for every question in the prompt's version."""
_SAMPLE_REJECTED: Final = Rejected(problems=(Problem("key", "problem"), Problem("stranger", "problem")))
