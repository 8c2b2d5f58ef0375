"""Insert many rows of many tables in one statement. The rows of each table are one JSON parameter.

Each statement costs a round trip and CPU time on both sides, and a result writes to eight tables.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from pydantic_core import to_json
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from persistence.tables import Base

Rows: TypeAlias = Mapping[type[Base], Sequence[Mapping[str, Any]]]
"""Rows by table: column name -> value; all rows of a table have the same columns."""

Keys: TypeAlias = Mapping[type[Base], tuple[str, ...]]


async def insert_rows(
    session: AsyncSession, rows: Rows, *, replace: Keys | None = None, skip_existing: bool = False
) -> None:
    """Insert the rows. In a table of `replace`, overwrite the row that has the same values in those columns.

    Foreign keys among the tables are valid, because they are checked at the end of the statement.
    """
    full = {table: batch for table, batch in rows.items() if batch}
    if not full:
        return
    shape = tuple(
        (table.__tablename__, tuple(batch[0]), (replace or {}).get(table, ())) for table, batch in full.items()
    )
    parameters = {table.__tablename__: to_json(batch).decode() for table, batch in full.items()}
    await session.execute(_statement(shape, skip_existing=skip_existing), parameters)


@cache
def _statement(shape: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...], *, skip_existing: bool) -> TextClause:
    *first, last = (_insert(*part, skip_existing=skip_existing) for part in shape)
    written = ", ".join(f"part_{place} AS ({part})" for place, part in enumerate(first))
    return text(f"WITH {written} {last}" if written else last)


def _insert(table: str, columns: tuple[str, ...], key: tuple[str, ...], *, skip_existing: bool) -> str:
    """Build the INSERT of a table. Names come from the table's own columns; values are always parameters."""
    names = ", ".join(columns)
    source = f"json_populate_recordset(NULL::{table}, CAST(:{table} AS json))"
    conflict = " ON CONFLICT DO NOTHING" if skip_existing else ""
    if key:
        kept = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
        conflict = f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {kept}"
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {source}{conflict}"  # noqa: S608
