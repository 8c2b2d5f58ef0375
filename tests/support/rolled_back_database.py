"""A Database inside a test's transaction, which is rolled back after the test."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import Executable, TextClause, UpdateBase, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import ORMExecuteState, Session

from persistence.unit_of_work import SqlUnitOfWork

_WRITE: Final = re.compile(r"\b(INSERT INTO|UPDATE \w+\s+SET|DELETE FROM)\b", re.IGNORECASE)


class SecondWriteError(AssertionError):
    """A `statement()` block wrote twice. A crash between the two writes would keep the first one only."""


class RolledBackDatabase:
    """A Database whose transactions are savepoints. It refuses a second write in a `statement()` block."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], *, all_organizations: bool = False) -> None:
        self._sessions = sessions
        self._all_organizations = all_organizations

    def transaction(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._sessions, all_organizations=self._all_organizations)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[SqlUnitOfWork]:
        async with SqlUnitOfWork(_one_write(self._sessions), all_organizations=self._all_organizations) as uow:
            yield uow
            await uow.commit()


def _writes(statement: Executable) -> bool:
    if isinstance(statement, TextClause):
        return _WRITE.search(statement.text) is not None
    return isinstance(statement, UpdateBase)


def _one_write(sessions: async_sessionmaker[AsyncSession]) -> async_sessionmaker[AsyncSession]:
    class OneWrite(Session):
        """Counts the writing statements of one block."""

    counted: list[Executable] = []

    @event.listens_for(OneWrite, "do_orm_execute")
    def count(state: ORMExecuteState) -> None:
        if _writes(state.statement):
            counted.append(state.statement)
        if len(counted) > 1:
            raise SecondWriteError(", ".join(type(each).__name__ for each in counted))

    return async_sessionmaker(**{**sessions.kw, "sync_session_class": OneWrite})
