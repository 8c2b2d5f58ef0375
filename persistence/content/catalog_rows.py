"""Turn rows of an import into credentials: validate each row first, then all rows together with the catalogue.

All problems are reported at once. Texts are stored unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from heapq import nsmallest
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from domain.errors import InvalidInput, Problem
from domain.ids import derived_id
from domain.imports import refusal_of_import
from domain.recommending.roles import Credential, CredentialLevel, check_hours, check_prerequisites
from domain.validation import check_names, check_text
from persistence.content.entries import CredentialEntry, Name, Skill, problems_of
from persistence.content.rows import FILES

MAX_ROWS: Final = 10_000
MAX_NAMES: Final = 50
"""Maximum number of skills of a credential, and of its prerequisites."""
REPORTED: Final = 50
"""Maximum number of problems that an error reports."""
NAMED_IN_A_CYCLE: Final = 10

Key = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        max_length=128,
        description="The partner's own id: letters, digits and . _ : -",
    ),
    Name,
]


def _number(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic collects these
    return value


class ImportEntry(CredentialEntry):
    """A row of an import. The same rules apply to JSON and to a parsed CSV row."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    key: Key
    skills: Annotated[list[Skill], Field(max_length=MAX_NAMES)]
    level: Annotated[CredentialLevel, Field(strict=False), Name, WithJsonSchema({"enum": list(CredentialLevel)})]
    hours: Annotated[
        Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 99_999})
    ]
    prerequisites: Annotated[list[Key], Field(default_factory=list, max_length=MAX_NAMES)]
    active: bool = True

    @field_validator("title", "skills", "hours", "prerequisites")
    @classmethod
    def _check(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  # the fields have different types
        """Apply the checks of Credential to each field, so that all problems of a row are reported at once."""
        match info.field_name:
            case "title":
                check_text("title", value)
            case "skills":
                check_names("skills", value)
            case "hours":
                check_hours(value)
            case _:
                check_prerequisites(info.data.get("key"), value)
        return value


class Withdrawal(BaseModel):
    """A row with `active` false. Only its key is read."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    key: Key


class Reference(Withdrawal):
    """An invalid row with a valid key and valid prerequisites, which are compared with the catalogue."""

    prerequisites: Annotated[list[Key], Field(default_factory=list, max_length=MAX_NAMES)]


COLUMNS: Final = tuple(ImportEntry.model_fields)
REQUIRED: Final = tuple(name for name, about in ImportEntry.model_fields.items() if about.is_required())


class Outcome(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """A row that is valid without regard to other rows; `number` counts from 1, `prerequisites` maps keys to ids.

    A row that withdraws the credential with this key has no `credential`.
    """

    number: int
    id: UUID
    key: str
    credential: Credential | None
    prerequisites: Mapping[str, UUID] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Reading:
    """The rows of an import that could be read, and the problems of the others.

    `refused` holds the invalid rows that have a valid key, with their prerequisites if these are valid. A row that has
    one of them as prerequisite is not reported for it. `detected` holds the detected format of a CSV, for the report.
    """

    total: int
    detected: Mapping[str, str] | None = None
    rows: list[ImportRow] = field(default_factory=list)
    refused: list[ImportRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def finish(self) -> None:
        """Raise InvalidInput if there is a problem."""
        if not self.problems:
            return
        found = len(self.problems)
        bad = len({each.row for each in self.problems})
        named = nsmallest(REPORTED, self.problems, key=lambda each: (each.row or 0, each.field, each.problem))
        raise InvalidInput(refusal_of_import(found, bad, self.total, REPORTED), tuple(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """A credential of the catalogue."""

    id: UUID
    key: str
    version: str
    active: bool
    source: str | None
    prerequisites: Sequence[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReport:
    row: int
    key: str
    status: Outcome
    warnings: tuple[str, ...] = ()


def read_rows(entries: Sequence[object], detected: Mapping[str, str] | None = None) -> Reading:
    """Validate each row by its own content. CPU only, about a second for 10,000 rows.

    Raises:
        InvalidInput: there are no rows, or too many.
    """
    if not 0 < len(entries) <= MAX_ROWS:
        problem = f"must have 1 to {MAX_ROWS:,} rows, not {len(entries):,}"
        raise InvalidInput("The import is not valid", (Problem("credentials", problem),))
    reading = Reading(total=len(entries), detected=detected)
    taken: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            row = _row(number, entry)
        except ValueError as error:  # includes pydantic's ValidationError
            refused = _refused(number, entry)
            key = refused.key if refused else None
            reading.problems += [Problem(place, problem, number, key) for place, problem in problems_of(error)]
            if refused:
                reading.refused.append(refused)
        else:
            key = row.key
            reading.rows.append(row)
        if key is not None and (first := taken.setdefault(key, number)) != number:
            reading.problems.append(Problem("key", f"is also the key of row {first}", number, key))
    return reading


def check_rows(reading: Reading, catalogue: Mapping[UUID, CatalogEntry], skills: frozenset[str]) -> list[RowReport]:
    """Return the outcome of each row, validated with the catalogue.

    `catalogue` holds the credentials that the rows name and, recursively, their prerequisites. `skills` holds the
    skills that a role targets.

    Raises:
        InvalidInput: with every problem of every row.
    """
    added = {row.id: row for row in reading.rows if row.credential}
    there = added.keys() | catalogue.keys() | {row.id for row in reading.refused}
    for row in (*reading.rows, *reading.refused):
        known = catalogue.get(row.id)
        if known and known.source == FILES:
            reading.problems.append(
                Problem(
                    "key",
                    "belongs to the content files; an import cannot change it",
                    row.number,
                    row.key,
                )
            )
        for key, id_ in row.prerequisites.items():
            if id_ not in there:
                problem = f"{key} is neither in the catalogue nor in this import"
                reading.problems.append(Problem("prerequisites", problem, row.number, row.key))
    reading.problems += _cycle(added, catalogue)
    reading.finish()
    withdrawn = {row.id for row in reading.rows if not row.credential}
    withdrawn |= {known.id for known in catalogue.values() if not known.active and known.id not in added}
    return [
        RowReport(
            row=row.number,
            key=row.key,
            status=_outcome(row, catalogue.get(row.id)),
            warnings=tuple(_warnings(row, catalogue, skills, withdrawn)),
        )
        for row in reading.rows
    ]


def _row(number: int, entry: object) -> ImportRow:
    if not isinstance(entry, dict):
        raise ValueError("row: must be an object")  # noqa: TRY004  # collected like the other problems
    if entry.get("active") is False:
        key = Withdrawal.model_validate(entry).key
        return ImportRow(number=number, id=derived_id("credential", key), key=key, credential=None)
    if not entry.keys() <= set(COLUMNS):  # otherwise pydantic would report each field
        raise ValueError(f"row: has an unknown field; the known fields are {', '.join(COLUMNS)}")
    read = ImportEntry.model_validate(entry)
    credential = read.credential()
    needed = dict(zip(read.prerequisites, credential.prerequisites, strict=True))
    return ImportRow(number=number, id=credential.id, key=read.key, credential=credential, prerequisites=needed)


def _refused(number: int, entry: object) -> ImportRow | None:
    """Return an invalid row with its key and its prerequisites if they are valid; None when the key is invalid too."""
    for model in (Reference, Withdrawal):
        try:
            read = model.model_validate(entry)
        except ValidationError:
            continue
        needed = {key: derived_id("credential", key) for key in getattr(read, "prerequisites", ())}
        id_ = derived_id("credential", read.key)
        return ImportRow(number=number, id=id_, key=read.key, credential=None, prerequisites=needed)
    return None


def _cycle(added: Mapping[UUID, ImportRow], catalogue: Mapping[UUID, CatalogEntry]) -> Iterator[Problem]:
    """Report the first cycle of prerequisites that there would be. One without a row of the import exists already.

    The content files can complete a cycle: they do not see which prerequisites a credential has by an import.
    """
    needs: dict[UUID, Iterable[UUID]] = {known.id: known.prerequisites for known in catalogue.values()}
    needs |= {id_: row.credential.prerequisites for id_, row in added.items() if row.credential}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle: list[UUID] = error.args[1][::-1]
        keys = [added[id_].key if id_ in added else catalogue[id_].key for id_ in cycle]
        number, key = min(((added[id_].number, added[id_].key) for id_ in cycle if id_ in added), default=(None, None))
        named = keys if len(keys) <= NAMED_IN_A_CYCLE else [*keys[: NAMED_IN_A_CYCLE - 1], "…", keys[-1]]
        yield Problem("prerequisites", f"form a cycle: {' needs '.join(named)}", number, key)


def _outcome(row: ImportRow, known: CatalogEntry | None) -> Outcome:
    if row.credential is None:
        return Outcome.WITHDRAWN if known and known.active else Outcome.UNCHANGED
    if known is None:
        return Outcome.ADDED
    same = (known.version, known.active) == (row.credential.version, True)
    return Outcome.UNCHANGED if same else Outcome.CHANGED


def _warnings(
    row: ImportRow, catalogue: Mapping[UUID, CatalogEntry], skills: frozenset[str], withdrawn: set[UUID]
) -> Iterator[str]:
    """Report what is allowed but may be a mistake."""
    if row.credential is None:
        if row.id not in catalogue:
            yield "Nothing was withdrawn: the catalogue has no credential with this key"
        return
    for skill in row.credential.skills:
        if skill not in skills:
            yield f"No role targets the skill {skill!r}"
    for key, id_ in row.prerequisites.items():
        if id_ in withdrawn:
            yield f"The prerequisite {key} is withdrawn"


def ids_named(rows: Iterable[ImportRow]) -> list[UUID]:
    """Return the ids of the rows and of their prerequisites."""
    return sorted({id_ for row in rows for id_ in (row.id, *row.prerequisites.values())})
