"""Detect the encoding and the column separator of a CSV."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

COMMA: Final = ","
DELIMITERS: Final = {COMMA: "comma", ";": "semicolon", "\t": "tab"}
"""The supported separators and their names."""
WINDOWS: Final = "windows-1252"
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(?P<delimiter>.)"?\s*', re.IGNORECASE)
"""The optional first line of Excel, which names the separator."""
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFormat:
    """The format of a CSV. `codec` is a Python codec; `has_separator_line` means that the first line is `sep=…`."""

    codec: str
    delimiter: str
    has_separator_line: bool

    @property
    def encoding(self) -> str:
        """The name in responses: `utf-8`, `utf-16` or `windows-1252`."""
        return self.codec.removesuffix("-sig")

    @property
    def delimiter_name(self) -> str:
        return DELIMITERS[self.delimiter]


def detect_codec(body: bytes) -> str:
    """Detect the encoding: by the byte order mark, else UTF-8 if the body is valid UTF-8, else Windows-1252.

    Raises:
        ValueError: the body is not valid in any of them.
    """
    for mark, codec in _MARKS:
        if body.startswith(mark):
            if not _is_valid(body, codec):
                raise ValueError(f"has the byte order mark of {codec.removesuffix('-sig')}, but invalid characters")
            return codec
    if _is_valid(body, "utf-8"):
        return "utf-8"
    if _is_damaged_utf8(body) or not _is_valid(body, WINDOWS):
        raise ValueError("is not UTF-8, UTF-16 with a byte order mark, or Windows-1252")
    return WINDOWS


def detect_format(codec: str, first_line: str, columns: Collection[str]) -> CsvFormat:
    """Detect the separator: from a line `sep=…`, else the one that yields most known `columns` in the header.

    Raises:
        ValueError: the line `sep=…` names an unsupported separator.
    """
    named = _SEPARATOR_LINE.fullmatch(first_line)
    if named and named["delimiter"] not in DELIMITERS:
        raise ValueError("names a separator that is not a comma, a semicolon or a tab")

    def known_columns(delimiter: str) -> int:
        try:
            header = next(csv.reader([first_line], delimiter=delimiter), [])
        except csv.Error:  # a cell is too long
            return 0
        return len({cell.strip() for cell in header}.intersection(columns))

    delimiter = named["delimiter"] if named else max(DELIMITERS, key=known_columns)
    return CsvFormat(codec=codec, delimiter=delimiter, has_separator_line=named is not None)


def open_text(body: bytes, codec: str) -> io.TextIOWrapper:
    """Open the body as text, which is decoded while it is read. Line ends are not changed."""
    return io.TextIOWrapper(io.BytesIO(body), encoding=codec, newline="")


def count_line_ends(body: bytes, codec: str) -> int:
    """Return the approximate number of lines. LF, CR or CRLF ends a line."""
    return sum(max(chunk.count("\n"), chunk.count("\r")) for chunk in _chunks(body, codec))


def _is_valid(body: bytes, codec: str) -> bool:
    try:
        for _ in _chunks(body, codec):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _chunks(body: bytes, codec: str) -> Iterator[str]:
    return iter(partial(open_text(body, codec).read, _CHUNK), "")


def _is_damaged_utf8(body: bytes) -> bool:
    """Return whether invalid UTF-8 has at least as many valid multi-byte characters as invalid bytes."""
    text = body.decode(errors="replace")
    invalid = text.count("\ufffd")
    return len(text) - len(text.encode("ascii", "ignore")) - invalid >= invalid
