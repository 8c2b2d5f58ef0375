"""Reads a table of credentials as CSV: every row as JSON would have it, so that one set of rules judges both.

Comma-separated with a header (RFC 4180), in UTF-8 with or without a byte order mark, lines ended by LF or CRLF; names
in one cell are separated by `|`. An empty cell says nothing.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NoReturn

from domain.errors import InvalidInput, Problem
from persistence.catalog_rows import COLUMNS, MAX_ROWS, REQUIRED

CSV: Final = "text/csv"
SEPARATOR: Final = "|"
WITHDRAWS: Final = frozenset({"key", "active"})
"""The columns of a table that only withdraws."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def parse_csv(body: bytes) -> list[object]:
    """The rows, in their order, without blank lines.

    Raises:
        InvalidInput: it is not such a table.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse("is not UTF-8")
    if "\0" in text:
        _refuse("holds NUL")
    lines = _lines(text)
    header = next(lines, [])
    _check_header(header)
    rows = list(lines)
    if len(rows) > MAX_ROWS:
        _refuse(f"has {len(rows):,} rows, more than {MAX_ROWS:,}")
    ragged = [
        Problem("row", f"has {len(cells)} cells, not {len(header)}", number)
        for number, cells in enumerate(rows, start=1)
        if len(cells) != len(header)
    ]
    if ragged:
        raise InvalidInput(f"The body is not an acceptable CSV: {len(ragged):,} rows are ragged", tuple(ragged))
    return [
        {name: _value(name, cell) for name, cell in zip(header, cells, strict=True) if cell.strip()} for cells in rows
    ]


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput("The body is not an acceptable CSV", (Problem("body", problem),)) from None


def _lines(text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from filter(None, reader)
    except csv.Error as error:
        _refuse(f"cannot be read at line {reader.line_num}: {error}")


def _check_header(header: Sequence[str]) -> None:
    if not header:
        _refuse("is empty")
    problems = []
    for place, name in enumerate(header, start=1):
        if name not in COLUMNS:
            problems.append(Problem("header", f"column {place} is not one of {', '.join(COLUMNS)}"))
        elif name in header[: place - 1]:
            problems.append(Problem("header", f"column {place} is {name} once more"))
    if set(header) != WITHDRAWS:
        problems += [Problem("header", f"has no column {name}") for name in REQUIRED if name not in header]
    if problems:
        raise InvalidInput("The body is not an acceptable CSV", tuple(problems))


def _value(name: str, cell: str) -> object:
    """What is not of the column's type stays text, which the row's check refuses by the column's name."""
    match name:
        case "skills" | "prerequisites":
            return [part.strip() for part in cell.split(SEPARATOR)]
        case "hours" if _NUMBER.fullmatch(cell.strip()):
            return Decimal(cell.strip())
        case "active" if cell.strip().lower() in {"true", "false"}:
            return cell.strip().lower() == "true"
        case _:
            return cell
