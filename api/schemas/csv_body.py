"""Parse a CSV table into rows as in a JSON import, so that both have the same validation.

The table has a header (RFC 4180). `api.schemas.csv_format` detects encoding and separator. White space around a value
is removed, and so are blank rows, and blank columns at the end, which spreadsheets add. An empty cell is an absent
field. The body is read line by line, so that its limits apply before it takes memory.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
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
MAX_COLUMNS: Final = 100
MAX_LINES: Final = 1_100_000
"""A spreadsheet may export all its 1,048,576 rows."""
MAX_RECORD_CHARS: Final = 256 * 1024
"""Characters of a row with its separators and quotes, so a row has at most half as many cells."""
_REFUSED: Final = "The CSV is not valid"
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_MAX_NAME_CHARS: Final = 64
_BLANKS: Final = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u2060\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """The columns of a table. `convert` gets a column, its cell and the separator, and returns the value.

    The required columns may be missing in a table that has exactly the columns `short_header`.
    """

    columns: tuple[str, ...]
    required: tuple[str, ...]
    max_rows: int
    convert: Callable[[str, str, str], object] = lambda _column, cell, _delimiter: cell
    short_header: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows in their order, without blank ones, as in a JSON import; and the detected format."""

    rows: list[object]
    detected: CsvFormat


def parse_csv(body: bytes, table_format: TableFormat | None = None) -> Table:
    """Parse the table; by default one of credentials.

    Raises:
        InvalidInput: the body is not a valid table.
    """
    expected = table_format or CREDENTIALS
    try:
        codec = detect_codec(body)
        lines = _Lines(body, codec)
        first_line = lines.first_not_blank()
        detected = detect_format(codec, first_line, expected.columns)
    except ValueError as error:
        _refuse(str(error))
    records = _records(lines, [] if detected.has_separator_line else [first_line], detected.delimiter)
    header = _header(next(records, []), detected, expected)
    return Table(rows=_rows(records, header, detected.delimiter, expected), detected=detected)


class _Lines:
    """The lines of the body, with a limit on their number and on the length of a record, which may have many lines."""

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
            _refuse("contains a NUL character; UTF-16 needs a byte order mark")
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
    """Yield the cells of every row that is not blank. `before` are lines that were already read."""
    reader = csv.reader(chain(before, lines), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            lines.end_record()
            if any(cells) and not is_blank("".join(cells)):
                yield cells
    except csv.Error as error:
        _refuse(f"cannot be read at line {lines.number}: {error}")


def _header(cells: Sequence[str], detected: CsvFormat, expected: TableFormat) -> list[str]:
    header = [_name(cell) for cell in _without_blank_end(cells, 0)]
    if not header:
        _refuse("is empty")
    if len(header) > MAX_COLUMNS:
        _refuse(f"has {len(header):,} columns, more than {MAX_COLUMNS}")
    problems = []
    for place, name in enumerate(header, start=1):
        if name not in expected.columns:
            shown = name if len(name) <= _MAX_NAME_CHARS else f"{name[:_MAX_NAME_CHARS]}…"
            named = f"column {place} ({shown!r})"  # `!r` escapes invisible characters
            problems.append(Problem("header", f"{named} is not one of {', '.join(expected.columns)}"))
        elif name in header[: place - 1]:
            problems.append(Problem("header", f"column {place} repeats {name}"))
    if set(header) != expected.short_header:
        problems += [Problem("header", f"has no column {name}") for name in expected.required if name not in header]
    if problems:
        read_as = f"read as {detected.encoding}, separated by {detected.delimiter_name}"
        raise InvalidInput(f"{_REFUSED} ({read_as})", tuple(problems))
    return header


def _name(cell: str) -> str:
    return normalized_name(cell) if len(cell) <= _MAX_NAME_CHARS else cell


def _without_blank_end(cells: Sequence[str], fewest: int) -> Sequence[str]:
    """Remove blank cells from the end, but keep at least the first `fewest` cells."""
    end = len(cells)
    while end > fewest and is_blank(cells[end - 1]):
        end -= 1
    return cells[:end]


def _rows(records: Iterator[list[str]], header: Sequence[str], delimiter: str, expected: TableFormat) -> list[object]:
    rows: list[object] = []
    ragged = []
    for number, record in enumerate(records, start=1):
        if number > expected.max_rows:
            _refuse(f"has more than {expected.max_rows:,} rows")
        cells = _without_blank_end(record, len(header))
        if len(cells) != len(header):
            ragged.append(Problem("row", f"has {len(cells)} cells, not {len(header)}", number))
        elif not ragged:
            values = ((name, cell.strip(_BLANKS)) for name, cell in zip(header, cells, strict=True))
            rows.append({name: expected.convert(name, cell, delimiter) for name, cell in values if cell})
    if ragged:
        raise InvalidInput(f"{_REFUSED}: {len(ragged):,} rows have a wrong number of cells", tuple(ragged))
    return rows


def _credential_value(name: str, cell: str, delimiter: str) -> object:
    """Convert the cell to the column's type. An invalid value stays text, which row validation rejects.

    Names in one cell are separated by `|`.
    """
    match name:
        case "skills" | "prerequisites":
            return [part.strip(_BLANKS) for part in cell.split(SEPARATOR)]
        case "hours":
            # Spreadsheets that write a decimal comma use another column separator.
            number = cell if delimiter == COMMA else cell.replace(",", ".", 1)
            return Decimal(number) if _NUMBER.fullmatch(number) else cell
        case "active" if cell.lower() in {"true", "false"}:
            return cell.lower() == "true"
        case _:
            return cell


CREDENTIALS: Final = TableFormat(
    columns=COLUMNS,
    required=REQUIRED,
    max_rows=MAX_ROWS,
    convert=_credential_value,
    short_header=frozenset({"key", "active"}),
)
"""A table that only withdraws credentials has two columns."""
