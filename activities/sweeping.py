"""Walk over the rows of a concern in pages, within a time budget. A failure about one row does not stop the others."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

import structlog

from activities.failures import code_of
from domain.database import Database, Repositories
from domain.errors import ExternalServiceError
from domain.sweeps import Cursor

PAGE: Final = 200
"""Rows per statement, and ids per query of the engine's index."""
AT_ONCE: Final = 16
"""Concurrent calls to the engine."""
PAGE_PAUSE_S: Final = 0.2
"""Pause between queries of the engine's index. The server limits their rate, and the Web UI needs some of them."""
MINUTES_PER_HOUR: Final = 60

log = structlog.get_logger(__name__)


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


Subject = TypeVar("Subject", bound=HasId)

Rows = Sequence[tuple[Cursor, Subject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep(Generic[Subject]):
    """How to sweep a concern.

    `read` returns the rows after a cursor, at most PAGE. `ensure` starts the run of a row and returns whether it was
    missing; it must be idempotent. `live`, if given, returns the ids with a live run by the engine's index. The index
    may be behind, so each row is also ensured without it once an hour.
    """

    read: Callable[[Repositories, Cursor | None], Awaitable[Rows[Subject]]]
    ensure: Callable[[Subject], Awaitable[bool]]
    live: Callable[[Sequence[Subject]], Awaitable[frozenset[UUID]]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The rows whose turn it is: over an hour each row once, if a sweep runs every `minutes`.

    `minute` is the current minute of the hour.
    """

    minute: int
    minutes: int

    def has(self, id_: UUID) -> bool:
        return id_.int % MINUTES_PER_HOUR // self.minutes == self.minute // self.minutes


@dataclass(slots=True)
class Tally:
    """The numbers of rows and of started runs, and the number of failures by error code.

    `started` includes runs of rows that were ensured without the index, if the engine does not say that one was live.
    """

    rows: int = 0
    started: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def failed(self, error: Exception, id_: UUID | None = None) -> None:
        self.errors[code_of(error)] += 1
        log.warning("sweep_failed", id=str(id_) if id_ else None, error=code_of(error))


async def walk(
    database: Database, sweep: Sweep[Subject], after: Cursor | None, *, budget_s: float, turn: Turn
) -> tuple[Tally, Cursor | None]:
    """Ensure the runs of the rows after `after`. Return the cursor to continue from, or None after the last row.

    `turn` selects the rows that are ensured without the index.
    """
    ends, tally = time.monotonic() + budget_s, Tally()
    while rows := await _read(database, sweep, after):
        tally.rows += len(rows)
        missing = await _missing(sweep, rows, tally, turn)
        for start in range(0, len(missing), AT_ONCE):
            chunk = missing[start : start + AT_ONCE]
            await asyncio.gather(*(_ensure(sweep, subject, tally) for _, subject in chunk))
            after = chunk[-1][0]
            if time.monotonic() >= ends:
                return tally, after
        after = rows[-1][0]
        if len(rows) < PAGE:
            break
        if time.monotonic() >= ends:
            return tally, after
        await asyncio.sleep(PAGE_PAUSE_S if sweep.live else 0)
    return tally, None


async def _read(database: Database, sweep: Sweep[Subject], after: Cursor | None) -> Rows[Subject]:
    """Read a page, without an open transaction during the calls to the engine."""
    async with database.statement() as uow:
        return await sweep.read(uow, after)


async def _missing(sweep: Sweep[Subject], rows: Rows[Subject], tally: Tally, turn: Turn) -> Rows[Subject]:
    """Return the rows without a live run by the index, and those whose turn it is to be checked without the index."""
    if sweep.live is None:
        return rows
    try:
        live = await sweep.live([subject for _, subject in rows])
    except ExternalServiceError as error:
        tally.failed(error)
        live = frozenset(subject.id for _, subject in rows)
    return [(at, each) for at, each in rows if each.id not in live or turn.has(each.id)]


async def _ensure(sweep: Sweep[Subject], subject: Subject, tally: Tally) -> None:
    try:
        started = await sweep.ensure(subject)  # not in one line with the sum, which others change meanwhile
    except Exception as error:  # noqa: BLE001  # counted; the next sweep tries again
        tally.failed(error, subject.id)
    else:
        tally.started += started
