"""Finding what somebody wrote, wherever it went: in plain text, in hex and in base64."""

import base64
from collections.abc import Iterable, Sequence

import psycopg
from psycopg.sql import SQL, Identifier

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"


def forms(marker: str) -> list[str]:
    """The marker as it may stand in a text, bytes in hex among it; in base64 wherever it begins within three bytes."""
    plain = marker.encode()
    shifted = [base64.b64encode(bytes(offset) + plain).decode() for offset in range(3)]
    # what the bytes before and after it change is cut off
    return [marker, plain.hex(), *(each[4 if offset else 0 : -4] for offset, each in enumerate(shifted))]


def found_in(text: str, markers: Iterable[str]) -> list[str]:
    return [marker for marker in markers if any(form.lower() in text.lower() for form in forms(marker))]


def tables_with(url: str, markers: Sequence[str]) -> dict[str, list[str]]:
    """The markers by table, in any column of any row, bytes included."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        tables = [name for (name,) in connection.execute(TABLES)]
        found = {table: found_in(_rows(connection, table), markers) for table in tables}
    return {table: there for table, there in found.items() if there}


def _rows(connection: psycopg.Connection[tuple[str, ...]], table: str) -> str:
    """Every row as text; bytes stand in it in hex."""
    rows = connection.execute(SQL("SELECT each::text FROM {} AS each").format(Identifier(table)))
    return "\n".join(row for (row,) in rows)
