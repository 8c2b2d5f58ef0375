"""An index that answers although the store it prefers does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from domain.errors import ExternalServiceError
from domain.grading.scores import DegradedReason
from domain.recommending.ports import CredentialIndex, SearchQuery, SearchResult
from persistence.vectors.ranking import check_search

FAILURES: Final = 5
OPEN_S: Final = 10
"""After so many failures in a row the preferred store is left alone for so long."""
CHECKED_FOR_S: Final = 30.0

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[bool]]
Repair = Callable[[], Awaitable[None]]


class FallbackIndex:
    """Searches `primary`; where that is away, slow, broken or not whole, `fallback`, and says so.

    `is_whole` tells whether the primary holds what it should; it is asked at most every `checked_for_s` while the
    answer is yes. When it is no, `repair` is called, whose failure is only logged.

    Raises:
        InvalidInput: a limit below 1, or a vector that is none.
        StorageUnavailable: the fallback is away too.
    """

    def __init__(  # noqa: PLR0913  # two stores, and what may be known about the first
        self,
        primary: CredentialIndex,
        fallback: CredentialIndex,
        *,
        is_whole: Check,
        repair: Repair,
        deadline_s: float,
        checked_for_s: float = CHECKED_FOR_S,
    ) -> None:
        self._primary = primary
        self._fallback = fallback
        self._is_whole = is_whole
        self._repair = repair
        self._deadline_s = deadline_s
        self._checked_for_s = checked_for_s
        self._whole_until = 0.0
        self._breakers = AsyncCircuitBreakerFactory(default_threshold=FAILURES, default_ttl=OPEN_S)

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        check_search(queries, limit)  # here, because a caller's mistake is no failure of the store
        try:
            async with await self._breakers.get_breaker("vectors"), asyncio.timeout(self._deadline_s):
                await self._check()
                return await self._primary.search(queries, limit=limit)
        except (ExternalServiceError, TimeoutError, OpenedState) as error:
            log.warning("vector_store_fallback", error=type(error).__name__)
        found = await self._fallback.search(queries, limit=limit)
        return replace(found, degraded_reason=DegradedReason.VECTOR_STORE_FALLBACK)

    async def _check(self) -> None:
        """Raises ExternalServiceError where the primary lacks what it should hold."""
        if time.monotonic() < self._whole_until:
            return
        if not await self._is_whole():
            await self._call_for_repair()
            raise ExternalServiceError(
                "The index is not there, not whole or not ours: the run catalog-embedding rebuilds it"
            )
        self._whole_until = time.monotonic() + self._checked_for_s

    async def _call_for_repair(self) -> None:
        try:
            await self._repair()
        except ExternalServiceError:
            log.warning("index_repair_not_started")
