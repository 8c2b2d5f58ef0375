"""Read a roster from CSV, and the report of its import."""

from collections import Counter
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError

from api.schemas.base import Id, Input, Output
from api.schemas.catalog import Detected
from api.schemas.cohorts import CohortName
from api.schemas.csv_body import CSV, Table, TableFormat, parse_csv
from api.schemas.people import Email, ExternalId, PersonName
from domain.email_addresses import normalize_email
from domain.errors import InvalidInput, Problem
from domain.roster import RosterPlan, RosterRow, RowStatus

MAX_ROWS: Final = 10_000


class RosterEntry(Input):
    email: Annotated[Email, AfterValidator(normalize_email)]
    name: PersonName | None = None
    external_id: ExternalId | None = None
    cohort: CohortName | None = None


_FORMAT: Final = TableFormat(columns=tuple(RosterEntry.model_fields), required=("email",), max_rows=MAX_ROWS)


def read_roster(body: bytes) -> tuple[list[RosterRow], Table]:
    """Parse the CSV and validate each row by its own content.

    Raises:
        InvalidInput: the body is not a valid table, or has no rows.
    """
    table = parse_csv(body, _FORMAT)
    if not table.rows:
        raise InvalidInput("The CSV is not valid", (Problem("body", "has no rows"),))
    return [_row(number, row) for number, row in enumerate(table.rows, start=1)], table


def _row(number: int, row: object) -> RosterRow:
    try:
        entry = RosterEntry.model_validate(row)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        problems = tuple((str(each["loc"][0]), each["msg"].removeprefix("Value error, ")) for each in found)
        return RosterRow(number=number, problems=problems)
    return RosterRow(number=number, **entry.model_dump())


class RosterCounts(Output):
    created: int
    updated: int
    unchanged: int
    refused: int = Field(description="0 unless it is a dry run")


class RosterProblem(Output):
    field: str
    problem: str


class RosterRowReport(Output):
    """`row` counts from 1, without the header. `user_id` is absent if the row is refused or not created yet."""

    row: int
    status: RowStatus
    user_id: Id | None = None
    problems: list[RosterProblem] | None = None


class RosterReport(Output):
    """In a `dry_run`, what the import would do."""

    dry_run: bool
    counts: RosterCounts
    new_cohorts: list[str] = Field(description="Names of the cohorts that the import creates")
    rows: list[RosterRowReport]
    detected: Detected

    @classmethod
    def of(cls, plan: RosterPlan, table: Table, *, dry_run: bool) -> "RosterReport":
        counted = Counter(report.status for report in plan.reports)
        return cls(
            dry_run=dry_run,
            counts=RosterCounts(**{status.value: counted[status] for status in RowStatus}),
            new_cohorts=plan.new_cohorts,
            rows=[
                RosterRowReport(
                    row=report.row,
                    status=report.status,
                    user_id=None if dry_run and report.status is RowStatus.CREATED else report.user_id,
                    problems=[RosterProblem(field=field, problem=problem) for field, problem in report.problems]
                    or None,
                )
                for report in plan.reports
            ],
            detected=Detected(encoding=table.detected.encoding, delimiter=table.detected.delimiter_name),
        )


ROSTER_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            CSV: {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": f"Columns {', '.join(_FORMAT.columns)}; at most {MAX_ROWS:,} rows. See"
                    " docs/identity.md",
                }
            }
        },
    }
}
"""For the OpenAPI document: the route parses the body itself."""
