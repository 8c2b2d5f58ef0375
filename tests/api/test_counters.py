"""In-memory counters count like those of the package, and the cost of a request does not grow with other clients."""

import time
from collections.abc import Callable

import pytest
from limits.aio.storage import MemoryStorage, Storage

from api.security.counters import SWEEP_S, Counters


@pytest.mark.parametrize("storage_of", [MemoryStorage, Counters])
async def test_counts_are_kept_by_key_until_their_window_ends(storage_of: Callable[[], Storage]) -> None:
    storage = storage_of()
    before = time.time()
    assert [await storage.incr("one", 60), await storage.incr("one", 60, 2), await storage.incr("two", 60)] == [1, 3, 1]
    assert (await storage.get("one"), await storage.get("two"), await storage.get("three")) == (3, 1, 0)
    assert before + 60 <= await storage.get_expiry("one") <= time.time() + 60
    assert before <= await storage.get_expiry("three") <= time.time()
    await storage.clear("one")
    assert (await storage.get("one"), await storage.get("two")) == (0, 1)
    assert await storage.reset() == 1
    assert await storage.get("two") == 0


async def test_a_window_ends_by_the_clock_of_its_first_count() -> None:
    now = 1_000.0
    counters = Counters(clock=lambda: now)
    await counters.incr("one", 60)
    now += 59
    assert await counters.incr("one", 60) == 2
    assert await counters.get_expiry("one") == 1_060
    now += 1
    assert await counters.get("one") == 0
    assert await counters.incr("one", 60) == 1


class Key(str):
    """A key that counts how often it is hashed."""

    __slots__ = ("looked_at",)

    def __init__(self, _: str) -> None:
        self.looked_at = 0

    def __hash__(self) -> int:
        self.looked_at += 1
        return super().__hash__()


async def test_a_count_does_not_look_at_the_other_callers() -> None:
    counters = Counters(clock=lambda: 1_000.0)
    other = Key("other")
    await counters.incr(other, 60)
    before = other.looked_at
    for _ in range(100):
        await counters.incr("one", 60)
        await counters.get("one")
        await counters.get_expiry("one")
    assert other.looked_at == before


async def test_windows_that_have_ended_are_dropped() -> None:
    now = 1_000.0
    counters = Counters(clock=lambda: now)
    for number in range(100):
        await counters.incr(f"short {number}", 1)
    await counters.incr("long", 60)
    now += max(SWEEP_S, 1)
    await counters.incr("another", 60)
    assert await counters.reset() == 2
