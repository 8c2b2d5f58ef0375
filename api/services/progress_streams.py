"""Streams of an assessment's progress: one listener per process wakes the streams of the assessments that changed."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias
from uuid import UUID

from domain.assessments.progress import ProgressEvent, RunProgress, events_after
from domain.errors import NotFound

PING_S: Final = 15.0
"""The longest silence of a stream. The progress is also read at each ping, because notifications may be lost."""

ReadProgress: TypeAlias = Callable[[], Awaitable[RunProgress | None]]


class ProgressStreams:
    """Wake streams when their assessment changes. `changed` is the callback of the listener."""

    def __init__(self, ping_s: float = PING_S, on_first: Callable[[], None] = lambda: None) -> None:
        """`on_first` is called when a stream opens; it starts the listener once."""
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._ping_s = ping_s
        self._on_first = on_first
        self._stopping = False

    def changed(self, assessment_id: str | None) -> None:
        """Wake the streams of an assessment; None wakes all streams."""
        if assessment_id is None:
            waiting = [each for group in self._waiting.values() for each in group]
        else:
            waiting = list(self._waiting.get(assessment_id, ()))
        for each in waiting:
            each.set()

    def stop(self) -> None:
        """End all streams, so that the process can stop. Clients connect again, to another process."""
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
                progress = await read()
                if progress is None:
                    raise NotFound("No such assessment")
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
