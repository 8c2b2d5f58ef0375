"""Wait for Temporal's visibility index, which lags behind."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 120


async def eventually(read: Callable[[], Awaitable[object]], expected: object) -> None:
    """Return as soon as `read` returns the expected value.

    Raises:
        AssertionError: it does not in time; the message shows the last value.
    """
    seen = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (seen := await read()) != expected:  # noqa: ASYNC110 - the server does not notify
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"still {seen}, not {expected}") from None
