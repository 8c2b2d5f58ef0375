"""The cost of reading a page: the 8 KiB blocks that its one statement reads."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.statements import recorded

PAGE: Final = 100
BLOCKS: Final = 1000
"""Each row of a page may be in another block, and the index scan reads a few more."""


async def blocks_read(engine: AsyncEngine, read: Callable[[], Awaitable[Sequence[object]]]) -> tuple[int, int]:
    """Return the number of rows of the page and the number of blocks read."""
    with recorded(engine) as sent:
        rows = await read()
    ((statement, parameters),) = sent
    async with engine.connect() as connection:
        explained = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
        plan = explained.scalar_one()[0]["Plan"]
    return len(rows), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
