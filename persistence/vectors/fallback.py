"""A credential index with a fallback store."""

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
"""The circuit breaker opens after FAILURES failures in a row and stays open for OPEN_S seconds."""
CHECKED_FOR_S: Final = 30.0

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[bool]]
Repair = Callable[[], Awaitable[None]]


class FallbackIndex:
    """Search `primary`, and `fallback` when the primary is unreachable, slow, broken or incomplete.

    A result of the fallback is marked as degraded. `is_whole` returns whether the primary has all its entries. A
    positive result is cached for `checked_for_s` seconds. A negative result calls `repair`; a failure of `repair` is
    only logged.

    Raises:
        InvalidInput: the limit is below 1, or a vector is not valid.
        StorageUnavailable: the fallback is unreachable as well.
    """

    def __init__(  # noqa: PLR0913  # two stores and the check of the first one
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
            error.__traceback__ = None  # the library raises the same exception each time, so its traceback would grow
        found = await self._fallback.search(queries, limit=limit)
        return replace(found, degraded_reason=DegradedReason.VECTOR_STORE_FALLBACK)

    async def _check(self) -> None:
        """Raise ExternalServiceError when the primary is incomplete."""
        if time.monotonic() < self._whole_until:
            return
        if not await self._is_whole():
            await self._request_repair()
            raise ExternalServiceError(
                "The index is missing, incomplete or has another schema; the workflow catalog-embedding rebuilds it"
            )
        self._whole_until = time.monotonic() + self._checked_for_s

    async def _request_repair(self) -> None:
        try:
            await self._repair()
        except ExternalServiceError:
            log.warning("index_repair_not_started")
