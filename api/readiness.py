"""Check the state of Temporal, its task queues, and Weaviate for the readiness route."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import httpx
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import ExternalServiceError
from workflows.engine.backlogs import Backlog, TaskQueues

TIMEOUT_S: Final = 0.5
CACHE_S: Final = 2.0

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The state of the dependencies.

    If Temporal does not answer in time, `backlogs` stays None. If Weaviate is not configured, `weaviate` stays False.
    """

    temporal: bool = False
    backlogs: list[Backlog] | None = None
    weaviate: bool = False


class SharedCheck(Generic[Found]):
    """Share the result of a check among callers: concurrent ones wait for it, later ones get it for `cache_s` seconds.

    Probes need no token and have no rate limit, so they must not cause load.
    """

    def __init__(self, cache_s: float = CACHE_S) -> None:
        self._cache_s = cache_s
        self._lock = asyncio.Lock()
        self._found: tuple[float, Found] | None = None

    async def look(self, check: Callable[[], Awaitable[Found]]) -> Found:
        """Return the shared result. Run `check` first if the last result is missing or too old."""
        async with self._lock:
            if self._found is None or time.monotonic() >= self._found[0]:
                found = await check()
                self._found = time.monotonic() + self._cache_s, found
            return self._found[1]


class Readiness:
    """Checks dependencies at most once every CACHE_S, with a timeout of TIMEOUT_S, so that probes cause little load."""

    def __init__(self, client: Client | None, http: httpx.AsyncClient, weaviate_url: str | None) -> None:
        self.queues = TaskQueues(client) if client else None
        self._client = client
        self._http = http
        self._weaviate_url = weaviate_url
        self._shared = SharedCheck[Seen]()

    async def look(self) -> Seen:
        return await self._shared.look(self._look)

    async def _look(self) -> Seen:
        temporal, backlogs, weaviate = await asyncio.gather(self._temporal(), self._backlogs(), self._weaviate())
        return Seen(temporal=temporal, backlogs=backlogs, weaviate=weaviate)

    async def _temporal(self) -> bool:
        if self._client is None:
            return False
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._client.service_client.check_health()
        except (RPCError, TimeoutError, RuntimeError):
            return False

    async def _backlogs(self) -> list[Backlog] | None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self.queues.backlogs() if self.queues else None
        except (ExternalServiceError, TimeoutError):
            return None

    async def _weaviate(self) -> bool:
        """Return whether Weaviate is ready. The path needs no authentication, so no key is sent."""
        if not self._weaviate_url:
            return False
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._http.get(f"{self._weaviate_url.rstrip('/')}/v1/.well-known/ready")
        except (httpx.HTTPError, TimeoutError):
            return False
        return answer.is_success
