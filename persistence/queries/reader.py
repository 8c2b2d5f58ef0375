"""The base class of read queries, which run in autocommit."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from persistence.database_errors import storage_failure

View = TypeVar("View")

Selected: TypeAlias = Select[*tuple[Any, ...]]


class Reader:
    """Run each query on a connection of its own in autocommit, so that it costs one round trip."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

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
        return [view(**row) for row in rows.mappings()]

    async def _one(
        self, view: type[View], statement: Selected, parameters: Mapping[str, object] | None = None
    ) -> View | None:
        found = await self._all(view, statement, parameters)
        return found[0] if found else None
