"""Read a user's CSV files, or reject them with a line for each problem."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from domain.errors import InvalidInput, Problem

SHOWN_PROBLEMS: Final = 20
FIELD_CHARS: Final = 10_000_000

Row = dict[str, str]


def rows_of(path: Path, columns: Sequence[str]) -> list[tuple[int, Row]]:
    """Return each row with its last line's number. Missing cells are empty strings.

    Raises:
        InvalidInput: The file is not CSV in UTF-8 with these columns, or has no rows.
    """
    csv.field_size_limit(FIELD_CHARS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", restkey="-")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read as CSV in UTF-8: {error}") from None
    refuse(path, [Problem("header", f"has no column {column}") for column in dict.fromkeys(missing)])
    refuse(path, [Problem(f"line {line}", "has more cells than the header") for line, row in rows if "-" in row])
    if not rows:
        raise InvalidInput(f"{path} has no rows")
    return rows


def refuse(path: Path, problems: Sequence[Problem]) -> None:
    """Raise InvalidInput if there are problems; its message lists the first ones."""
    if problems:
        listed = "\n".join(f"{problem.field} {problem.problem}" for problem in problems[:SHOWN_PROBLEMS])
        more = f"\nand {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        raise InvalidInput(f"{path} cannot be used\n{listed}{more}", tuple(problems))
