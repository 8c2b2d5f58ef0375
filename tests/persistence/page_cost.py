"""What reading a page costs: the blocks of 8 KiB that its one statement touches."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

PAGE: Final = 100
BLOCKS: Final = 1000
"""A page's rows may each lie in a block of their own, and the way to them through the index costs a few."""


async def blocks_read(engine: AsyncEngine, read: Callable[[], Awaitable[Sequence[object]]]) -> tuple[int, int]:
    """How many rows the page has, and how many blocks reading it touched."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        sent.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    rows = await read()
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    ((statement, parameters),) = sent
    async with engine.connect() as connection:
        explained = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
        plan = explained.scalar_one()[0]["Plan"]
    return len(rows), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
