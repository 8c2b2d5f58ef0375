"""Long activities send heartbeats."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.heartbeats import HeartbeatInterceptor


class Working(ActivityInboundInterceptor):
    """An activity that ends on request."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # the SDK's name
        del input
        await self.done.wait()
        return "result"


async def run(working: Working, environment: ActivityEnvironment) -> Any:
    async def execute() -> Any:
        nothing = ExecuteActivityInput(fn=execute, args=(), executor=None, headers={})
        return await HeartbeatInterceptor().intercept_activity(working).execute_activity(nothing)

    return await environment.run(execute)


async def test_an_activity_with_a_heartbeat_timeout_beats_until_it_ends() -> None:
    working, environment, beats = Working(), ActivityEnvironment(), 0

    def beat(*_: object) -> None:
        nonlocal beats
        beats += 1
        if beats == 3:
            working.done.set()

    environment.on_heartbeat = beat
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(milliseconds=10))

    assert await run(working, environment) == "result"
    assert beats == 3


async def test_an_activity_without_one_does_not() -> None:
    working, environment = Working(), ActivityEnvironment()
    beats: list[object] = []
    environment.on_heartbeat = lambda *details: beats.append(details)
    working.done.set()

    assert await run(working, environment) == "result"
    assert beats == []
