"""Rows of an import to credentials: each is judged by itself first, then all of them against the catalogue.

Everything that is wrong is found at once. What a text says is never looked into: it is stored as it stands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from heapq import nsmallest
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from domain.errors import InvalidInput, Problem
from domain.ids import derived_id
from domain.recommending.roles import Credential, CredentialLevel
from persistence.content.entries import CredentialEntry, Name, Skill, problems_of
from persistence.content.rows import FILES

MAX_ROWS: Final = 10_000
MAX_NAMES: Final = 50
"""Skills of a credential, and prerequisites."""
REPORTED: Final = 50
"""Problems that a refusal names; more of them would help nobody."""
NAMED_IN_A_CIRCLE: Final = 10

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
    """A row as it is sent; what is right in JSON is right in a CSV whose cells were read."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    key: Key
    skills: Annotated[list[Skill], Field(max_length=MAX_NAMES)]
    level: Annotated[CredentialLevel, Field(strict=False), Name, WithJsonSchema({"enum": list(CredentialLevel)})]
    hours: Annotated[
        Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 99_999})
    ]
    prerequisites: Annotated[list[Key], Field(default_factory=list, max_length=MAX_NAMES)]
    active: bool = True


class Withdrawal(BaseModel):
    """A row with `active` false: what else stands in it does not matter."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    key: Key


COLUMNS: Final = tuple(ImportEntry.model_fields)
REQUIRED: Final = tuple(name for name, about in ImportEntry.model_fields.items() if about.is_required())


class Outcome(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """A row that is right in itself; `number` from 1, `prerequisites` by key.

    `credential` is None where the row withdraws what has the key.
    """

    number: int
    id: UUID
    key: str
    credential: Credential | None
    prerequisites: Mapping[str, UUID] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Reading:
    """What the rows of an import say, and what is wrong with some of them.

    `refused` are credentials whose rows are wrong in themselves: whoever needs them is not wrong for that. `detected`
    says how a CSV was read, for the report.
    """

    total: int
    detected: Mapping[str, str] | None = None
    rows: list[ImportRow] = field(default_factory=list)
    refused: set[UUID] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def finish(self) -> None:
        """Raises InvalidInput if there is anything wrong."""
        if not self.problems:
            return
        found = len(self.problems)
        bad = len({each.row for each in self.problems})
        rest = f", {found - REPORTED:,} of them are not named" if found > REPORTED else ""
        named = nsmallest(REPORTED, self.problems, key=lambda each: (each.row or 0, each.field, each.problem))
        raise InvalidInput(
            f"Nothing was imported: {found:,} problems in {bad:,} of {self.total:,} rows{rest}", tuple(named)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A credential as the catalogue has it."""

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
    """Every entry by itself: CPU only, about a second for 10,000.

    Raises:
        InvalidInput: there is none, or there are too many.
    """
    if not 0 < len(entries) <= MAX_ROWS:
        problem = f"must have 1 to {MAX_ROWS:,} rows, not {len(entries):,}"
        raise InvalidInput("The import is not valid", (Problem("credentials", problem),))
    reading = Reading(total=len(entries), detected=detected)
    taken: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            row = _row(number, entry)
        except ValueError as error:  # pydantic's are such
            key = _key(entry)
            reading.problems += [Problem(place, problem, number, key) for place, problem in problems_of(error)]
            if key is not None:
                reading.refused.add(derived_id("credential", key))
        else:
            key = row.key
            reading.rows.append(row)
        if key is not None and (first := taken.setdefault(key, number)) != number:
            reading.problems.append(Problem("key", f"is that of row {first} too", number, key))
    return reading


def judge(reading: Reading, catalogue: Mapping[UUID, Known], skills: frozenset[str]) -> list[RowReport]:
    """What becomes of each row. `catalogue` holds what the rows name, and what that needs; `skills` are those targeted.

    Raises:
        InvalidInput: with every problem of every row.
    """
    added = {row.id: row for row in reading.rows if row.credential}
    there = added.keys() | catalogue.keys() | reading.refused
    for row in reading.rows:
        known = catalogue.get(row.id)
        if known and known.source == FILES:
            reading.problems.append(Problem("key", "is a credential of the content files", row.number, row.key))
        for key, id_ in row.prerequisites.items():
            if id_ not in there:
                problem = f"{key} is neither in the catalogue nor in this import"
                reading.problems.append(Problem("prerequisites", problem, row.number, row.key))
    reading.problems += _circle(added, catalogue)
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
        raise ValueError("row: must be an object")  # noqa: TRY004  # collected like every other problem
    if entry.get("active") is False:
        key = Withdrawal.model_validate(entry).key
        return ImportRow(number=number, id=derived_id("credential", key), key=key, credential=None)
    if not entry.keys() <= set(COLUMNS):  # before pydantic makes an error of each
        raise ValueError(f"row: has a field that is not known; known are {', '.join(COLUMNS)}")
    read = ImportEntry.model_validate(entry)
    credential = read.credential()
    needed = dict(zip(read.prerequisites, credential.prerequisites, strict=True))
    return ImportRow(number=number, id=credential.id, key=read.key, credential=credential, prerequisites=needed)


def _key(entry: object) -> str | None:
    """The valid key of a row that has other problems; an invalid one is not repeated."""
    try:
        return Withdrawal.model_validate(entry).key
    except ValidationError:
        return None


def _circle(added: Mapping[UUID, ImportRow], catalogue: Mapping[UUID, Known]) -> Iterator[Problem]:
    """The first circle of prerequisites, if the import would close one."""
    needs: dict[UUID, Iterable[UUID]] = {known.id: known.prerequisites for known in catalogue.values()}
    needs |= {id_: row.credential.prerequisites for id_, row in added.items() if row.credential}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle: list[UUID] = error.args[1][::-1]
        keys = [added[id_].key if id_ in added else catalogue[id_].key for id_ in circle]
        row = min((added[id_] for id_ in circle if id_ in added), key=lambda each: each.number)
        named = keys if len(keys) <= NAMED_IN_A_CIRCLE else [*keys[: NAMED_IN_A_CIRCLE - 1], "…", keys[-1]]
        yield Problem("prerequisites", f"form a circle: {' needs '.join(named)}", row.number, row.key)


def _outcome(row: ImportRow, known: Known | None) -> Outcome:
    if row.credential is None:
        return Outcome.WITHDRAWN if known and known.active else Outcome.UNCHANGED
    if known is None:
        return Outcome.ADDED
    same = (known.version, known.active) == (row.credential.version, True)
    return Outcome.UNCHANGED if same else Outcome.CHANGED


def _warnings(
    row: ImportRow, catalogue: Mapping[UUID, Known], skills: frozenset[str], withdrawn: set[UUID]
) -> Iterator[str]:
    """What is allowed, and perhaps not meant."""
    if row.credential is None:
        if row.id not in catalogue:
            yield "There is nothing to withdraw: the catalogue does not have the key"
        return
    for skill in row.credential.skills:
        if skill not in skills:
            yield f"No role targets the skill {skill!r}"
    for key, id_ in row.prerequisites.items():
        if id_ in withdrawn:
            yield f"The prerequisite {key} is withdrawn"


def ids_named(rows: Iterable[ImportRow]) -> list[UUID]:
    """Of the rows and of their prerequisites."""
    return sorted({id_ for row in rows for id_ in (row.id, *row.prerequisites.values())})
