"""Heartbeats for every activity that is given a heartbeat timeout: a killed worker is noticed by their absence."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class HeartbeatInterceptor(Interceptor):
    """Beats at half the activity's heartbeat timeout while it runs; start-to-close bounds one that hangs."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _BeatingInbound(next)


class _BeatingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        timeout = activity.info().heartbeat_timeout
        if not timeout:
            return await self.next.execute_activity(input)
        beats = asyncio.create_task(_beat(timeout / 2))
        try:
            return await self.next.execute_activity(input)
        finally:
            beats.cancel()
            with suppress(asyncio.CancelledError):
                await beats


async def _beat(every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        activity.heartbeat()
