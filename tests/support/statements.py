"""The SQL statements that a program sends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

Statements: TypeAlias = list[tuple[str, Any]]
"""Statements and their parameters."""


@contextmanager
def recorded(engine: AsyncEngine) -> Iterator[Statements]:
    """Return a list that receives each statement and its parameters, except for BEGIN, during the block."""
    sent: Statements = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement != "BEGIN":
            sent.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
