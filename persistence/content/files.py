"""Read content files into domain values. All problems are reported at once, by file, entry and field."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Final, TypeVar

from domain.assessments.questions import EssayRubric, Question
from domain.errors import InvalidInput, Problem
from domain.recommending.roles import Credential, CredentialLevel, Role
from persistence.content.entries import CredentialEntry, Entry, QuestionEntry, RoleEntry, problems_of
from persistence.content.yaml_files import UnreadableYamlError, read_yaml

E = TypeVar("E", bound=Entry)
T = TypeVar("T")

_LEVELS: Final = tuple(CredentialLevel)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionContent:
    """A question with its role; `position` orders the role's questions, from 1."""

    key: str
    role: Role
    position: int
    question: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    roles: tuple[Role, ...]
    questions: tuple[QuestionContent, ...]
    credentials: tuple[Credential, ...]


def read_content(directory: Path) -> Content:
    """Read all content files in the directory.

    Raises:
        InvalidInput: with all problems; the field of a problem has the form `file: entry: field`.
    """
    reading = _Reading(directory)
    roles = reading.roles("roles.yaml")
    # When roles are invalid, checks that depend on them are skipped.
    known = None if reading.problems else {role.key: role for role in roles}
    files = sorted(path.relative_to(directory).as_posix() for path in directory.glob("questions/*.yaml"))
    questions = tuple(question for file in files for question in reading.questions(file, known))
    credentials = reading.credentials("credentials.yaml", known)
    reading.finish()
    return Content(roles=roles, questions=questions, credentials=credentials)


@dataclass(slots=True)
class _Reading:
    directory: Path
    problems: list[Problem] = field(default_factory=list)
    question_keys: set[str] = field(default_factory=set)

    def finish(self) -> None:
        if self.problems:
            listed = "\n".join(f"{problem.field}: {problem.problem}" for problem in self.problems)
            raise InvalidInput(
                f"The content files are not valid. Nothing was changed. Correct:\n{listed}", tuple(self.problems)
            )

    def roles(self, file: str) -> tuple[Role, ...]:
        keys: set[str] = set()
        entries = self._entries(file, self._document(file, {"roles"}), "roles", RoleEntry, keys)
        self._check_prerequisites(file, {entry.key: entry.prerequisites for entry in entries}, keys)
        return tuple(self._built(file, entries, RoleEntry.role).values())

    def questions(self, file: str, roles: Mapping[str, Role] | None) -> Iterator[QuestionContent]:
        document = self._document(file, {"role", "questions"})
        entries = self._entries(file, document, "questions", QuestionEntry, self.question_keys)
        built = self._built(file, entries, QuestionEntry.question)
        if roles is None or not document:
            return
        role = roles.get(str(document["role"]))
        if role is None:
            self._add(file, "-", "role", "must be the key of a role")
            return
        known = {target.skill for target in role.skills}
        for position, (key, question) in enumerate(built.items(), start=1):
            for place, skills in _skills_of(question):
                self._check_skills(file, key, place, skills, known)
            yield QuestionContent(key=key, role=role, position=position, question=question)

    def credentials(self, file: str, roles: Mapping[str, Role] | None) -> tuple[Credential, ...]:
        keys: set[str] = set()
        entries = self._entries(file, self._document(file, {"credentials"}), "credentials", CredentialEntry, keys)
        self._check_prerequisites(file, {entry.key: entry.prerequisites for entry in entries}, keys)
        self._check_levels(file, {entry.key: entry for entry in entries})
        if roles is not None:
            known = {target.skill for role in roles.values() for target in role.skills}
            for entry in entries:
                self._check_skills(file, entry.key, "skills", entry.skills, known)
        return tuple(self._built(file, entries, CredentialEntry.credential).values())

    def _document(self, file: str, fields: set[str]) -> dict[str, Any]:
        """Return the document, or an empty dict when it is invalid as a whole."""
        try:
            document = read_yaml(self.directory / file)
        except OSError as error:
            self._add(file, "-", "-", error.strerror or "cannot be read")
        except UnreadableYamlError as error:
            self._add(file, "-", "-", str(error))
        else:
            if isinstance(document, dict) and document.keys() == fields:
                return document
            self._add(file, "-", "-", f"must have exactly these fields: {' and '.join(sorted(fields))}")
        return {}

    def _entries(self, file: str, document: Mapping[str, Any], name: str, kind: type[E], keys: set[str]) -> list[E]:
        """Return the valid entries. Add the keys of all entries to `keys` and report keys that occur twice."""
        found = document.get(name, [])
        if not isinstance(found, list):
            self._add(file, "-", name, "must be a list")
            return []
        entries = []
        for place, raw in enumerate(found, start=1):
            key = str(raw["key"]) if isinstance(raw, dict) and "key" in raw else f"#{place}"
            if key in keys:
                self._add(file, key, "key", "is used more than once")
            keys.add(key)
            with self._collected(file, key):
                entries.append(kind.model_validate(raw))
        return entries

    def _built(self, file: str, entries: Iterable[E], build: Callable[[E], T]) -> dict[str, T]:
        """Return domain values by key in the file's order, without entries that break a rule."""
        built = {}
        for entry in entries:
            with self._collected(file, entry.key):
                built[entry.key] = build(entry)
        return built

    def _check_skills(self, file: str, key: str, place: str, skills: Iterable[str], known: set[str]) -> None:
        for skill in skills:
            if skill not in known:
                self._add(file, key, place, f"{skill!r} is not a known skill")

    def _check_prerequisites(self, file: str, prerequisites: Mapping[str, Sequence[str]], keys: set[str]) -> None:
        for key, needed in prerequisites.items():
            for other in needed:
                if other not in keys:
                    self._add(file, key, "prerequisites", f"{other} does not exist")
        try:
            TopologicalSorter(prerequisites).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1]
            self._add(file, min(cycle), "prerequisites", f"form a cycle: {' needs '.join(reversed(cycle))}")

    def _check_levels(self, file: str, entries: Mapping[str, CredentialEntry]) -> None:
        for entry in entries.values():
            for key in entry.prerequisites:
                other = entries.get(key)
                if other and _LEVELS.index(other.level) > _LEVELS.index(entry.level):
                    self._add(file, entry.key, "prerequisites", f"{key} is of a higher level")

    @contextmanager
    def _collected(self, file: str, key: str) -> Iterator[None]:
        """Collect the problems of an entry instead of raising them."""
        try:
            yield
        except ValueError as error:  # includes pydantic's ValidationError
            for place, problem in problems_of(error):
                self._add(file, key, place, problem)

    def _add(self, file: str, key: str, place: str, problem: str) -> None:
        self.problems.append(Problem(f"{file}: {key}: {place}", problem))


def _skills_of(question: Question) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the fields that hold skills: an essay's skills are given in its criteria."""
    match question.rubric:
        case EssayRubric(criteria=criteria):
            for criterion in criteria:
                yield f"rubric.criteria.{criterion.key}.skills", criterion.skills
        case rubric:
            yield "skills", rubric.skills
