"""Write CSV that spreadsheet programs open safely: UTF-8 with commas."""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

UTF8_MARK: Final = codecs.BOM_UTF8
"""The first bytes of a file for spreadsheet programs. Without them, some read UTF-8 as Windows-1252."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet program would run a cell that begins with one of these."""


def csv_cell(value: object) -> str:
    """Return the cell's text. An apostrophe keeps a spreadsheet program from reading it as a formula."""
    shown = "" if value is None else str(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()
