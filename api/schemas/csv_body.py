"""Reads a table of credentials as CSV: every row as JSON would have it, so that one set of rules judges both.

The table has a header (RFC 4180). `api.schemas.csv_format` detects encoding and separator. Names in one cell are
separated by `|`. White space around a value is dropped. So are blank rows and columns at the end, which spreadsheets
add. An empty cell says nothing. The body is read line by line, so that its limits apply before it takes memory.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Final, NoReturn

from api.schemas.csv_format import COMMA, DELIMITERS, CsvFormat, count_line_ends, detect_codec, detect_format, open_text
from domain.errors import InvalidInput, Problem
from domain.text import is_blank, normalized_name
from persistence.content.catalog_rows import COLUMNS, MAX_ROWS, REQUIRED

CSV: Final = "text/csv"
SEPARATOR: Final = "|"
WITHDRAWS: Final = frozenset({"key", "active"})
"""The columns of a table that only withdraws."""
MAX_COLUMNS: Final = 100
MAX_LINES: Final = 1_100_000
"""A spreadsheet has 1,048,576 rows, and may export all of them."""
MAX_RECORD_CHARS: Final = 256 * 1024
"""The characters of a row with its separators and quotes: at most half of them can be cells."""
_REFUSED: Final = "The body is not an acceptable CSV"
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_MAX_NAME_CHARS: Final = 64
_BLANKS: Final = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u2060\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows as JSON would have them, in their order, without blank ones; and the format that was detected."""

    rows: list[object]
    detected: CsvFormat


def parse_csv(body: bytes) -> Table:
    """Read the table.

    Raises:
        InvalidInput: it is not such a table.
    """
    try:
        codec = detect_codec(body)
        lines = _Lines(body, codec)
        first_line = lines.first_not_blank()
        detected = detect_format(codec, first_line, COLUMNS)
    except ValueError as error:
        _refuse(str(error))
    records = _records(lines, [] if detected.has_separator_line else [first_line], detected.delimiter)
    header = _header(next(records, []), detected)
    return Table(rows=_rows(records, header, detected.delimiter), detected=detected)


class _Lines:
    """The lines of the body. Refuses too many of them, and too long a record, which may take several lines."""

    def __init__(self, body: bytes, codec: str) -> None:
        if count_line_ends(body, codec) > MAX_LINES:
            _refuse(f"has more than {MAX_LINES:,} lines")
        self._text = open_text(body, codec)
        self._record_chars = 0
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_RECORD_CHARS + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._record_chars += len(line)
        if self._record_chars > MAX_RECORD_CHARS:
            _refuse(f"has more than {MAX_RECORD_CHARS:,} characters in a row, which ends at line {self.number:,}")
        if "\0" in line:
            _refuse("holds NUL; UTF-16 needs a byte order mark")
        return line

    def first_not_blank(self) -> str:
        for line in self:
            if line.strip(_BLANKS + "".join(DELIMITERS)):
                return line
            self.end_record()
        return ""

    def end_record(self) -> None:
        self._record_chars = 0


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput(_REFUSED, (Problem("body", problem),)) from None


def _records(lines: _Lines, before: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """The cells of every row that is not blank; `before` are lines that were read already."""
    reader = csv.reader(chain(before, lines), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            lines.end_record()
            if any(cells) and not is_blank("".join(cells)):
                yield cells
    except csv.Error as error:
        _refuse(f"cannot be read at line {lines.number}: {error}")


def _header(cells: Sequence[str], detected: CsvFormat) -> list[str]:
    header = [_name(cell) for cell in _without_blank_end(cells, 0)]
    if not header:
        _refuse("is empty")
    if len(header) > MAX_COLUMNS:
        _refuse(f"has {len(header):,} columns, more than {MAX_COLUMNS}")
    problems = []
    for place, name in enumerate(header, start=1):
        if name not in COLUMNS:
            problems.append(Problem("header", f"column {place} is not one of {', '.join(COLUMNS)}"))
        elif name in header[: place - 1]:
            problems.append(Problem("header", f"column {place} is {name} once more"))
    if set(header) != WITHDRAWS:
        problems += [Problem("header", f"has no column {name}") for name in REQUIRED if name not in header]
    if problems:
        read_as = f"read as {detected.encoding}, separated by {detected.delimiter_name}"
        raise InvalidInput(f"{_REFUSED} ({read_as})", tuple(problems))
    return header


def _name(cell: str) -> str:
    return normalized_name(cell) if len(cell) <= _MAX_NAME_CHARS else cell


def _without_blank_end(cells: Sequence[str], fewest: int) -> Sequence[str]:
    """The cells without blank ones at their end, but at least the `fewest` first."""
    end = len(cells)
    while end > fewest and is_blank(cells[end - 1]):
        end -= 1
    return cells[:end]


def _rows(records: Iterator[list[str]], header: Sequence[str], delimiter: str) -> list[object]:
    rows: list[object] = []
    ragged = []
    for number, record in enumerate(records, start=1):
        if number > MAX_ROWS:
            _refuse(f"has more than {MAX_ROWS:,} rows")
        cells = _without_blank_end(record, len(header))
        if len(cells) != len(header):
            ragged.append(Problem("row", f"has {len(cells)} cells, not {len(header)}", number))
        elif not ragged:
            values = ((name, cell.strip(_BLANKS)) for name, cell in zip(header, cells, strict=True))
            rows.append({name: _value(name, cell, delimiter) for name, cell in values if cell})
    if ragged:
        raise InvalidInput(f"{_REFUSED}: {len(ragged):,} rows are ragged", tuple(ragged))
    return rows


def _value(name: str, cell: str, delimiter: str) -> object:
    """What is not of the column's type stays text, which the row's check refuses by the column's name."""
    match name:
        case "skills" | "prerequisites":
            return [part.strip(_BLANKS) for part in cell.split(SEPARATOR)]
        case "hours":
            # Where a comma is the decimal point, spreadsheets separate columns by something else.
            number = cell if delimiter == COMMA else cell.replace(",", ".", 1)
            return Decimal(number) if _NUMBER.fullmatch(number) else cell
        case "active" if cell.lower() in {"true", "false"}:
            return cell.lower() == "true"
        case _:
            return cell
