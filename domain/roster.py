"""The import of a roster: decide for each row whether it creates, updates or does not change a person."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

STUDENT: Final = "student"


class RowStatus(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRow:
    """A row that is valid without regard to others; `number` counts from 1. `email` is in its normal form.

    An absent name or external id leaves that of an existing person unchanged. `problems` (field and problem) is not
    empty if the row is invalid; then only `number` and `problems` are set.
    """

    number: int
    email: str = ""
    name: str | None = None
    external_id: str | None = None
    cohort: str | None = None
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPerson:
    """A person of the organization. `cohorts` has those cohorts of the roster in which the person is a member."""

    id: UUID
    name: str | None
    external_id: str | None
    role: str
    erasing: bool
    cohorts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """What is stored about the roster's e-mail addresses, external ids and cohorts.

    `people` has the organization's people by e-mail address, `taken` the addresses of accounts elsewhere, `holders` the
    organization's people by external id, and `cohorts` the names of existing cohorts.
    """

    people: Mapping[str, KnownPerson]
    taken: frozenset[str]
    holders: Mapping[str, UUID]
    cohorts: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReport:
    """The outcome of a row. `user_id` is absent for refused rows, and in a dry run for rows that would be created."""

    row: int
    status: RowStatus
    user_id: UUID | None = None
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, kw_only=True)
class RosterPlan:
    """What an import writes. `members` are new memberships: the name of a cohort and a user."""

    reports: list[RowReport] = field(default_factory=list)
    created: dict[UUID, RosterRow] = field(default_factory=dict)
    updated: dict[UUID, RosterRow] = field(default_factory=dict)
    members: list[tuple[str, UUID]] = field(default_factory=list)
    new_cohorts: list[str] = field(default_factory=list)

    @property
    def refused(self) -> list[RowReport]:
        return [report for report in self.reports if report.status is RowStatus.REFUSED]


def plan_import(rows: Sequence[RosterRow], directory: Directory, new_id: Callable[[], UUID]) -> RosterPlan:
    """Decide what to write. Existing people keep their role and organization. A new person becomes a student."""
    plan = RosterPlan()
    emails: dict[str, int] = {}
    external_ids: dict[str, int] = {}
    for row in rows:
        problems = row.problems or tuple(_problems(row, directory, emails, external_ids))
        if problems:
            plan.reports.append(RowReport(row=row.number, status=RowStatus.REFUSED, problems=problems))
        else:
            _add(plan, row, directory.people.get(row.email), new_id)
    plan.new_cohorts = sorted({cohort for cohort, _ in plan.members} - directory.cohorts)
    return plan


def _problems(
    row: RosterRow, directory: Directory, emails: dict[str, int], external_ids: dict[str, int]
) -> Iterator[tuple[str, str]]:
    """Find the problems of a row with the stored people, and with the rows before it, which the dicts number."""
    known = directory.people.get(row.email)
    if row.email in directory.taken:
        yield "email", "is taken"
    elif known and known.erasing:
        yield "email", "belongs to an account that is being erased"
    elif (first := emails.setdefault(row.email, row.number)) != row.number:
        yield "email", f"is also in row {first}"
    if row.external_id is not None:
        holder = directory.holders.get(row.external_id)
        if holder is not None and (known is None or known.id != holder):
            yield "external_id", "belongs to another user of the organization"
        elif (first := external_ids.setdefault(row.external_id, row.number)) != row.number:
            yield "external_id", f"is also in row {first}"
    if row.cohort is not None and known and known.role != STUDENT:
        yield "cohort", f"is only for students; this account's role is {known.role}"


def _add(plan: RosterPlan, row: RosterRow, known: KnownPerson | None, new_id: Callable[[], UUID]) -> None:
    if known is None:
        status, user_id = RowStatus.CREATED, new_id()
        plan.created[user_id] = row
    else:
        status, user_id = RowStatus.UNCHANGED, known.id
        if _changes(row, known):
            status = RowStatus.UPDATED
            plan.updated[user_id] = row
    if row.cohort is not None and not (known and row.cohort in known.cohorts):
        plan.members.append((row.cohort, user_id))
        status = RowStatus.UPDATED if known else status
    plan.reports.append(RowReport(row=row.number, status=status, user_id=user_id))


def _changes(row: RosterRow, known: KnownPerson) -> bool:
    return row.name not in (None, known.name) or row.external_id not in (None, known.external_id)
