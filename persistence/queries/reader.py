"""The base class of read queries, which run in autocommit."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from persistence.database import in_autocommit, storage_failure

View = TypeVar("View")

Selected: TypeAlias = Select[*tuple[Any, ...]]
Position: TypeAlias = tuple[datetime, UUID]
"""The creation time and the id of a row."""


class Reader:
    """Run each query on a connection of its own in autocommit, so that it costs one round trip."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = in_autocommit(engine)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            if failure := storage_failure(error):
                raise failure from None
            raise

    async def _all(
        self, view: type[View], statement: Selected, parameters: Mapping[str, object] | None = None
    ) -> list[View]:
        async with self._connection() as connection:
            rows = await connection.execute(statement, parameters)
        names = rows.keys()
        return [view(**dict(zip(names, row, strict=True))) for row in rows]

    async def _one(
        self, view: type[View], statement: Selected, parameters: Mapping[str, object] | None = None
    ) -> View | None:
        found = await self._all(view, statement, parameters)
        return found[0] if found else None


def newest(
    statement: Selected, created_at: ColumnElement[Any], id_: ColumnElement[Any], after: Position | None, limit: int
) -> Selected:
    """Limit the statement to a page, newest first. `after` is the position of the previous page's last row."""
    if after is not None:
        statement = statement.where(tuple_(created_at, id_) < after)
    return statement.order_by(created_at.desc(), id_.desc()).limit(limit)


def equal_to(wanted: Mapping[ColumnElement[Any], object]) -> list[ColumnElement[bool]]:
    """Return a condition for each column with a wanted value; None is no condition."""
    return [column == value for column, value in wanted.items() if value is not None]
