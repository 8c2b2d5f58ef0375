"""Check the state of Temporal, its task queues, and Weaviate for the readiness route."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import httpx
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import ExternalServiceError
from workflows.engine.backlogs import Backlog, TaskQueues

TIMEOUT_S: Final = 0.5
CACHE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The state of the dependencies.

    If Temporal does not answer in time, `backlogs` stays None. If Weaviate is not configured, `weaviate` stays False.
    """

    temporal: bool = False
    backlogs: list[Backlog] | None = None
    weaviate: bool = False


class Readiness:
    """Checks dependencies at most once every CACHE_S, with a timeout of TIMEOUT_S, so that probes cause little load."""

    def __init__(self, client: Client | None, http: httpx.AsyncClient, weaviate_url: str | None) -> None:
        self.queues = TaskQueues(client) if client else None
        self._client = client
        self._http = http
        self._weaviate_url = weaviate_url
        self._lock = asyncio.Lock()
        self._seen = Seen()
        self._until = 0.0

    async def look(self) -> Seen:
        async with self._lock:
            if time.monotonic() >= self._until:
                temporal, backlogs, weaviate = await asyncio.gather(
                    self._temporal(), self._backlogs(), self._weaviate()
                )
                self._seen = Seen(temporal=temporal, backlogs=backlogs, weaviate=weaviate)
                self._until = time.monotonic() + CACHE_S
            return self._seen

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
