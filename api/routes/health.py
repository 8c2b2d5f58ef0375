"""Liveness and readiness."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

import structlog
from fastapi import Request, Response

from api.dependencies import Services, ServicesDep
from api.middleware.routing import root_router
from api.readiness import SharedCheck
from api.schemas.health import Health, QueueState, Readiness, StepState, UpOrDown
from domain.errors import StorageUnavailable
from workflows.engine.backlogs import Backlog, announced_models
from workflows.policies import Queue

PING_DEADLINE_S: Final = 2.5
"""Slightly longer than a request waits for a free connection."""

QUEUE_STALLED_S: Final = 60.0
STEP_STALLED_S: Final = 120.0
"""Longer than any healthy step. The timeout of a language model call is 90 s."""

_Database: TypeAlias = tuple[bool, dict[str, StepState] | None]

health = root_router(tags=["Health"])
log = structlog.get_logger(__name__)


@health.get("/healthz", summary="Check liveness")
async def healthz() -> Health:
    return Health()


@health.get(
    "/readyz",
    summary="Check readiness",
    responses={503: {"model": Readiness, "description": "Postgres is unavailable; the API cannot serve requests"}},
)
async def readyz(request: Request, services: ServicesDep, response: Response) -> Readiness:
    """503 only without Postgres. Without Temporal or workers the API still stores answers, and runs start later."""
    database: SharedCheck[_Database] = request.app.state.database_check
    (postgres, steps), probed = await asyncio.gather(
        database.look(partial(_database, services)), services.readiness.look()
    )
    if not postgres:
        response.status_code = 503
    queues = None if probed.backlogs is None else {queue: _queue(queue, probed.backlogs) for queue in Queue}
    weaviate = bool(services.settings.weaviate_url)
    return Readiness(
        status="ready" if postgres else "unavailable",
        postgres=_state(up=postgres),
        temporal=_state(up=probed.temporal),
        vector_store="weaviate" if weaviate else "pgvector",
        vector_store_state=_state(up=probed.weaviate if weaviate else postgres),
        essay_grader=_grader(probed.backlogs or []),
        queues=queues,
        steps=steps,
        stalled=_stalled(queues or {}, steps or {}),
    )


async def _database(services: Services) -> _Database:
    """Return whether Postgres answers and, if it does, the state of the steps."""
    is_up = await _postgres_is_up(services)
    return is_up, await _steps(services) if is_up else None


async def _steps(services: Services) -> dict[str, StepState] | None:
    try:
        found = await services.work.steps()
    except StorageUnavailable:
        return None
    return {each.step: StepState(oldest_s=each.oldest_s, lost_attempts=each.lost_attempts) for each in found}


def _stalled(queues: Mapping[Queue, QueueState], steps: Mapping[str, StepState]) -> list[str]:
    waiting = [str(name) for name, queue in queues.items() if queue.waiting and queue.oldest_s > QUEUE_STALLED_S]
    return waiting + [name for name, step in steps.items() if step.oldest_s > STEP_STALLED_S]


async def _postgres_is_up(services: Services) -> bool:
    """Ping Postgres. A timeout counts as down. The ping is not cancelled, because the cancellation could hang."""
    ping = asyncio.create_task(services.queries.ping())
    answered, _ = await asyncio.wait({ping}, timeout=PING_DEADLINE_S)
    if not answered:
        ping.add_done_callback(_retrieve_exception)
        return False
    try:
        ping.result()
    except StorageUnavailable:
        return False
    return True


def _retrieve_exception(ping: "asyncio.Task[None]") -> None:
    """Retrieve the exception, so that asyncio does not log it as unhandled."""
    if not ping.cancelled():
        ping.exception()


def _state(*, up: bool) -> UpOrDown:
    return "up" if up else "down"


def _grader(backlogs: Sequence[Backlog]) -> str | None:
    pollers = [poller for each in backlogs if each.queue == Queue.LLM for poller in each.pollers]
    return ", ".join(announced_models(pollers)) or None


def _queue(queue: Queue, backlogs: Sequence[Backlog]) -> QueueState:
    """Add up the backlogs of workflows and activities, because one worker serves both."""
    own = [each for each in backlogs if each.queue == queue]
    return QueueState(
        served=any(each.pollers for each in own),
        waiting=sum(each.tasks for each in own),
        oldest_s=max((each.oldest_s for each in own), default=0.0),
    )
