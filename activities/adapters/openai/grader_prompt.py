"""Build the prompt for a language model from the prompt file, and the JSON schema of its reply.

The rubric and the question come before the essay and are the same bytes for every essay of a question, so that the
provider can cache them.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Any, Final, TypeAlias
from uuid import UUID

from domain.assessments.questions import Anchor, Criterion, EssayRubric, Level
from domain.errors import CorruptData, Problem
from domain.grading.model_grading import GradingRequest, Rejected
from domain.grading.rubrics import Essay, Example, rate
from domain.grading.wording import runs_of
from domain.ids import content_hash

Json: TypeAlias = dict[str, Any]

PROMPT_FILE: Final = Path(__file__).with_name("grader_prompt.md")
MARKER_BYTES: Final = 8

_PARTS: Final = (
    {"form", "question", "rubric", "examples"},
    {"marker", "reviewed"},
    {"marker", "answer"},
    {"problems"},
)
"""The placeholders of each part of the prompt file."""


class GraderPrompt:
    """The prompt file, read once.

    `key` is the secret for markers that a student cannot guess. `examples` is the number of labelled answers shown.
    Reviewed answers come after the constant part, because they differ from essay to essay.
    `version` is the content hash of the whole prompt except the question, the essay and the marker. `wording` contains
    the runs of words in the instructions, which feedback to students must not repeat.

    Raises:
        CorruptData: a part or a placeholder of the file is missing or unknown.
    """

    def __init__(self, key: bytes, *, examples: int, file: Path = PROMPT_FILE) -> None:
        self._key = key
        self._examples = examples
        self._question, self._reviewed, self._answer, self._again = _parts(file.read_text("utf-8"))
        self.wording = runs_of(*(part.template for part in (self._question, self._reviewed, self._answer, self._again)))
        sample = GradingRequest(essay=_SAMPLE, text=_SAMPLE.text, rejected=_SAMPLE_REJECTED)
        self.version = content_hash([self._messages(sample, "marker"), reply_schema(_SAMPLE.rubric), examples])

    def messages(self, wanted: GradingRequest) -> list[Json]:
        """Return the chat messages; equal requests have equal messages."""
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
        if wanted.essay.examples:
            reviewed = "\n\n".join(_reviewed(*each, marker) for each in enumerate(wanted.essay.examples, start=1))
            answer = self._reviewed.substitute(marker=marker, reviewed=reviewed) + "\n" + answer
        if wanted.rejected is not None:
            answer += "\n" + self._again.substitute(problems=_problems(rubric, wanted.rejected.problems))
        return [{"role": "system", "content": question}, {"role": "user", "content": answer}]

    def _marker(self, wanted: GradingRequest) -> str:
        """Derive the marker from the snapshot, so that a retry sends the same one.

        It occurs neither in the essay nor in an example.
        """
        name = wanted.essay.snapshot_id.bytes
        texts = "\n".join([wanted.text, *(example.text for example in wanted.essay.examples)])
        while (marker := hmac.digest(self._key, name, hashlib.sha256)[:MARKER_BYTES].hex()) in texts:
            name += b"'"
        return marker


def reply_schema(rubric: EssayRubric) -> Json:
    """Return a strict JSON schema: every criterion once, in the rubric's order, with one of its own levels."""
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
    """Put the level last, because a model decides better after it has written the rationale."""
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
    """Return an example of the reply, for models that receive no schema."""
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
    """Return the text below each heading, without the notes before the first heading."""
    _, *parts = ("\n" + text).split("\n# ")
    templates = tuple(Template(part.partition("\n")[2].strip() + "\n") for part in parts)
    if [set(each.get_identifiers()) for each in templates] != list(_PARTS) or not all(
        map(Template.is_valid, templates)
    ):
        raise CorruptData("The prompt file must have its four parts, each with its own placeholders")
    return templates


def _criterion(criterion: Criterion) -> str:
    levels = "\n".join(f"- {level.name}: {level.descriptor}" for level in criterion.levels)
    return f"### {criterion.key}: {criterion.name}\n\n{criterion.description}\n\nLevels, the lowest first:\n\n{levels}"


def _example(anchor: Anchor) -> str:
    return f"Example:\n\n{anchor.text}\n\nIts levels: {_levels(anchor.levels)}"


def _reviewed(number: int, example: Example, marker: str) -> str:
    lines = (
        f"--- {marker} example {number} begins ---",
        example.text,
        f"--- {marker} example {number} ends ---",
        f"Levels of example {number}: {_levels(example.levels)}",
    )
    return "\n".join(lines)


def _levels(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {level}" for key, level in levels.items())


def _spread(rubric: EssayRubric, number: int) -> Sequence[Anchor]:
    """Return at most `number` labelled answers, evenly spread from the worst to the best."""
    ranked = sorted(rubric.anchors, key=lambda anchor: sum(rate(rubric, anchor.levels).values()))
    if len(ranked) <= number or number < 2:  # noqa: PLR2004 - the formula needs two
        return ranked[:number]
    return [ranked[round(place * (len(ranked) - 1) / (number - 1))] for place in range(number)]


def _problems(rubric: EssayRubric, problems: Sequence[Problem]) -> str:
    """List the problems by known names only, so that text from an essay cannot become an instruction."""
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
    examples=(Example(review_id=UUID(int=0), text="example", levels={"key": "high"}),),
)
"""The essay that represents every question in the hash of the prompt's version."""
_SAMPLE_REJECTED: Final = Rejected(problems=(Problem("key", "problem"), Problem("stranger", "problem")))
