"""What one entry of a content file holds, and the domain value it becomes. Numbers are read from their digits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from domain.identity import content_hash, derived_id
from domain.questions import (
    AnswerFormat,
    EssayRubric,
    MultipleChoiceRubric,
    NumberRubric,
    Question,
    QuestionKind,
    Rubric,
    ScaleRubric,
    SingleChoiceRubric,
)
from domain.roles import Credential, CredentialLevel, Role, SkillTarget
from persistence.documents import encode

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Title = Annotated[str, Field(min_length=1, max_length=500)]
Skill = Annotated[str, Field(min_length=1, max_length=200)]
"""Titles and skills are indexed, and an index takes 2.7 kB of either."""

_FORMAT: Final = TypeAdapter(AnswerFormat)
_RUBRICS: Final[Mapping[QuestionKind, TypeAdapter[Any]]] = {
    QuestionKind.SINGLE: TypeAdapter(SingleChoiceRubric),
    QuestionKind.MULTIPLE: TypeAdapter(MultipleChoiceRubric),
    QuestionKind.NUMBER: TypeAdapter(NumberRubric),
    QuestionKind.SCALE: TypeAdapter(ScaleRubric),
    QuestionKind.TEXT: TypeAdapter(EssayRubric),
}


def version_of(value: Role | Question | Credential) -> str:
    """The content hash of everything but what identifies the thing or withdraws it."""
    return content_hash({name: part for name, part in encode(value).items() if name not in {"id", "version", "active"}})


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: Slug


class SkillEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    skill: Skill
    description: Text
    target: Decimal
    importance: Decimal


class RoleEntry(Entry):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: Text
    prerequisites: list[Slug]
    skills: list[SkillEntry]

    def role(self) -> Role:
        return Role(
            id=derived_id("role", self.key),
            key=self.key,
            name=self.name,
            description=self.description,
            skills=tuple(SkillTarget(**skill.model_dump()) for skill in self.skills),
            prerequisites=tuple(derived_id("role", key) for key in self.prerequisites),
        )


class QuestionEntry(Entry):
    kind: QuestionKind
    prompt: Text
    weight: Decimal
    skills: list[Skill] = []
    choices: list[Text] = []
    answer: dict[str, Any] = {}
    rubric: dict[str, Any]

    def question(self) -> Question:
        question = Question(
            id=derived_id("question", self.key),
            prompt=self.prompt,
            answer_format=self._answer_format(),
            rubric=self._rubric(),
            weight=self.weight,
            version="",
        )
        return replace(question, version=version_of(question))

    def _answer_format(self) -> AnswerFormat:
        _refuse("answer", self.answer, {"kind", "choices"})
        return _FORMAT.validate_python({**self.answer, "kind": self.kind, "choices": self.choices})

    def _rubric(self) -> Rubric:
        """The skills stand beside the rubric, but an essay's are its criteria's."""
        _refuse("rubric", self.rubric, {"kind", "skills"})
        beside = {"skills": self.skills}
        if self.kind is QuestionKind.TEXT:
            if self.skills:
                raise ValueError("skills: are those of the criteria")
            beside = {}
        rubric: Rubric = _RUBRICS[self.kind].validate_python({**self.rubric, **beside, "kind": self.kind})
        return rubric


class CredentialEntry(Entry):
    key: Annotated[Slug, Field(max_length=128)]
    title: Title
    description: Text
    skills: list[Skill]
    level: CredentialLevel
    hours: Decimal
    provider: Text
    source_uri: Annotated[str, Field(pattern=r"^https?://[^\s/?#]\S*$", max_length=2_000)]
    prerequisites: list[Slug]

    def credential(self) -> Credential:
        credential = Credential(
            id=derived_id("credential", self.key),
            key=self.key,
            title=self.title,
            description=self.description,
            skills=tuple(self.skills),
            level=self.level,
            hours=self.hours,
            provider=self.provider,
            source_uri=self.source_uri,
            prerequisites=tuple(derived_id("credential", key) for key in self.prerequisites),
            version="",
        )
        return replace(credential, version=version_of(credential))


def problems_of(error: ValueError) -> Iterator[tuple[str, str]]:
    """Field and problem of all that is wrong with an entry; the domain's own checks name the field in their message."""
    if not isinstance(error, ValidationError):
        yield _place((), str(error))
        return
    for found in error.errors(include_input=False, include_url=False):
        yield _place(found["loc"], found["msg"])


def _place(location: Sequence[str | int], message: str) -> tuple[str, str]:
    message = message.removeprefix("Value error, ")
    own, separator, problem = message.partition(": ")
    if not separator:
        own, problem = "", message
    parts = [str(part) for part in location] + ([own] if own else [])
    return ".".join(parts) or "-", problem


def _refuse(field: str, given: Mapping[str, Any], names: set[str]) -> None:
    """What stands elsewhere in the entry must not be said twice."""
    for name in sorted(names & given.keys()):
        raise ValueError(f"{field}.{name}: does not belong here")
