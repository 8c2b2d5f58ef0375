"""For what Temporal's index shows a little later."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 120


async def eventually(read: Callable[[], Awaitable[object]], expected: object) -> None:
    """Returns once `read` gives what is expected.

    Raises:
        AssertionError: it never did; with what it gave in the end.
    """
    seen = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (seen := await read()) != expected:  # noqa: ASYNC110 - the server sends no word of it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"still {seen}, not {expected}") from None
