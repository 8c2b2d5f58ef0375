"""Wake event streams, and requests that wait for a result, when their assessment changes.

One listener per process serves all of them.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from api.services.use_cases import require
from domain.assessments.progress import ProgressEvent, RunProgress, events_after

PING_S: Final = 15.0
"""The longest silence of a stream. The progress is also read at each ping, because notifications may be lost."""

REREAD_S: Final = 1.0
"""The longest time between the reads of a request that waits for a result."""

View = TypeVar("View")
ReadProgress: TypeAlias = Callable[[], Awaitable[RunProgress | None]]


class ProgressStreams:
    """Wake streams and waiting requests when their assessment changes. `changed` is the callback of the listener."""

    def __init__(self, ping_s: float = PING_S, on_first: Callable[[], None] = lambda: None) -> None:
        """`on_first` is called when a stream opens or a request waits; it starts the listener once."""
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._ping_s = ping_s
        self._on_first = on_first
        self._stopping = False

    def changed(self, assessment_id: str | None) -> None:
        """Wake the streams and requests of an assessment; None wakes all."""
        if assessment_id is None:
            waiting = [each for group in self._waiting.values() for each in group]
        else:
            waiting = list(self._waiting.get(assessment_id, ()))
        for each in waiting:
            each.set()

    def stop(self) -> None:
        """End all streams and waits, so that the process can stop. Clients connect again, to another process."""
        self._stopping = True
        self.changed(None)

    async def follow(
        self, assessment_id: UUID, read: ReadProgress, last: int | None
    ) -> AsyncIterator[ProgressEvent | None]:
        """Yield the events after the number `last`, and None as a ping after a silence. End after the final event.

        Raises:
            NotFound: the assessment is outside the caller's scope.
        """
        self._on_first()
        with self._woken(str(assessment_id)) as changed:
            while not self._stopping:
                changed.clear()  # before the read, so that a change during the read causes another one
                progress = require(await read(), "No such assessment")
                for event in events_after(last, progress):
                    last = event.progress.number
                    yield event
                if progress.is_final:
                    return
                try:
                    async with asyncio.timeout(self._ping_s):
                        await changed.wait()
                except TimeoutError:
                    yield None

    async def read_until(
        self,
        assessment_id: UUID,
        read: Callable[[], Awaitable[View]],
        is_final: Callable[[View], bool],
        *,
        seconds: float,
        disconnected: Callable[[], Coroutine[None, None, None]],
    ) -> View:
        """Read after each change until the view is final, and return the last view.

        It ends early when the time is over, when `disconnected` returns, or when the process stops.
        """
        ends = time.monotonic() + seconds
        gone = asyncio.create_task(disconnected())
        try:
            with self._woken(str(assessment_id)) as changed:
                gone.add_done_callback(lambda _: changed.set())
                while True:
                    changed.clear()  # before the read, so that a change during the read causes another one
                    view = await read()
                    left = ends - time.monotonic()
                    if is_final(view) or gone.done() or self._stopping or left <= 0:
                        return view
                    self._on_first()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(min(left, REREAD_S)):
                            await changed.wait()
        finally:
            gone.cancel()

    @contextmanager
    def _woken(self, assessment_id: str) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        self._waiting[assessment_id].add(changed)
        try:
            yield changed
        finally:
            self._waiting[assessment_id].discard(changed)
            if not self._waiting[assessment_id]:
                del self._waiting[assessment_id]
