"""Search for a marker text in plain text, hex and base64."""

import base64
from collections.abc import Iterable, Sequence

import psycopg
from psycopg.sql import SQL, Identifier

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"


def forms(marker: str) -> list[str]:
    """Return the encodings of the marker: plain, hex, and base64 for each of the three byte offsets."""
    plain = marker.encode()
    shifted = [base64.b64encode(bytes(offset) + plain).decode() for offset in range(3)]
    # cut off the characters that neighbouring bytes change
    return [marker, plain.hex(), *(each[4 if offset else 0 : -4] for offset, each in enumerate(shifted))]


def found_in(text: str, markers: Iterable[str]) -> list[str]:
    return [marker for marker in markers if any(form.lower() in text.lower() for form in forms(marker))]


def tables_with(url: str, markers: Sequence[str]) -> dict[str, list[str]]:
    """Return the markers found by table, in any column of any row, including bytes."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        tables = [name for (name,) in connection.execute(TABLES)]
        found = {table: found_in(_rows(connection, table), markers) for table in tables}
    return {table: there for table, there in found.items() if there}


def _rows(connection: psycopg.Connection[tuple[str, ...]], table: str) -> str:
    """Return every row as text, with bytes in hex."""
    rows = connection.execute(SQL("SELECT each::text FROM {} AS each").format(Identifier(table)))
    return "\n".join(row for (row,) in rows)
