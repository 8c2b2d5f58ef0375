"""The entries of content files, and their conversion to domain values. Numbers are parsed from their decimal text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    TypeAdapter,
    ValidationError,
)

from domain.assessments.attempts import AttemptPolicy, Reveal
from domain.assessments.questions import (
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
from domain.ids import content_hash, derived_id
from domain.recommending.roles import Credential, CredentialLevel, Role, SkillTarget
from domain.text import normalized_name
from persistence.repositories.documents import encode

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Title = Annotated[str, Field(min_length=1, max_length=500)]
_MAX_SKILL_CHARS: Final = 200
_URL: Final = TypeAdapter(HttpUrl)


def stored_name(value: object) -> object:
    """Return the normalized name. A blank or too long name is returned unchanged, so that later checks reject it."""
    if isinstance(value, str) and len(value) <= _MAX_SKILL_CHARS:
        return normalized_name(value) or value
    return value


def _link(value: str) -> str:
    """Reject URLs that browsers (and pydantic) parse differently from other parsers."""
    if not value.isprintable() or "\\" in value:
        raise ValueError("must not contain invisible characters or backslashes")
    try:
        url = _URL.validate_python(value)
    except ValidationError:
        raise ValueError("is not a valid URL") from None
    if url.username is not None or url.password is not None:
        raise ValueError("must not contain a user name or a password")
    if not url.port or "" in str(url.host).removesuffix(".").split("."):
        raise ValueError("is not a valid URL")
    return value


Name = BeforeValidator(stored_name)
"""Normalizes names, so that names that look the same are equal."""
Skill = Annotated[str, Field(min_length=1, max_length=_MAX_SKILL_CHARS), Name]
"""Titles and skills are indexed, and an index entry is limited to 2.7 kB."""
Link = Annotated[str, Field(pattern=r"^https?://[^\s/?#]\S*$", max_length=2_000), AfterValidator(_link)]
"""An http or https URL that every client can parse, stored unchanged."""

_FORMAT: Final = TypeAdapter(AnswerFormat)
_RUBRICS: Final[Mapping[QuestionKind, TypeAdapter[Any]]] = {
    QuestionKind.SINGLE: TypeAdapter(SingleChoiceRubric),
    QuestionKind.MULTIPLE: TypeAdapter(MultipleChoiceRubric),
    QuestionKind.NUMBER: TypeAdapter(NumberRubric),
    QuestionKind.SCALE: TypeAdapter(ScaleRubric),
    QuestionKind.TEXT: TypeAdapter(EssayRubric),
}


def version_of(value: Role | Question | Credential) -> str:
    """Return the content hash of all fields except `id`, `version` and `active`."""
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
    reveal: Reveal = Reveal.ALWAYS
    attempts: int | None = None
    cool_down_hours: int = 0

    def role(self) -> Role:
        return Role(
            id=derived_id("role", self.key),
            key=self.key,
            name=self.name,
            description=self.description,
            skills=tuple(SkillTarget(**skill.model_dump()) for skill in self.skills),
            prerequisites=tuple(derived_id("role", key) for key in self.prerequisites),
            attempt_policy=AttemptPolicy(
                reveal=self.reveal, attempts=self.attempts, cool_down_hours=self.cool_down_hours
            ),
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
        """Build the rubric. Skills are given next to the rubric; only an essay's skills are given in its criteria."""
        _refuse("rubric", self.rubric, {"kind", "skills"})
        extra = {"skills": self.skills}
        if self.kind is QuestionKind.TEXT:
            if self.skills:
                raise ValueError("skills: are given in the criteria")
            extra = {}
        rubric: Rubric = _RUBRICS[self.kind].validate_python({**self.rubric, **extra, "kind": self.kind})
        return rubric


class CredentialEntry(Entry):
    key: Annotated[Slug, Field(max_length=128)]
    title: Title
    description: Text
    skills: list[Skill]
    level: CredentialLevel
    hours: Decimal
    provider: Text
    source_uri: Link
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
    """Return field and text of each problem of an entry. The domain's errors start with the field's name."""
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
    parts = [str(part) for part in location]
    if own and parts[-1:] != [own]:  # a check of the domain inside the field's own validator names the field, too
        parts.append(own)
    return ".".join(parts) or "-", problem


def _refuse(field: str, given: Mapping[str, Any], names: set[str]) -> None:
    """Reject fields of a rubric that are already given elsewhere in the entry."""
    for name in sorted(names & given.keys()):
        raise ValueError(f"{field}.{name}: does not belong here")
