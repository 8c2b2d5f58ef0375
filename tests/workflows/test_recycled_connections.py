"""Calls succeed although the server closes each connection after some minutes, as Temporal's frontend does."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from deploy.local.ports import free_port
from deploy.local.temporal import DYNAMIC_CONFIG, TemporalDevServer
from workflows.engine.backlogs import TaskQueues

OF_EACH_CONNECTION_S = 1
SECONDS = 8


@activity.defn
async def idle() -> None: ...


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    config = {**DYNAMIC_CONFIG, "frontend.keepAliveMaxConnectionAge": f'"{OF_EACH_CONNECTION_S}s"'}
    with TemporalDevServer(None, free_port(), None, log=tmp_path / "server.log", dynamic_config=config) as server:
        yield await Client.connect(server.address)


async def test_a_call_that_meets_a_closing_connection_is_repeated(client: Client) -> None:
    """A worker's polls keep the old connection open, so the next call is sent on it and cancelled."""
    queue, ends = f"queue-{uuid4()}", time.monotonic() + SECONDS
    async with Worker(client, task_queue=queue, activities=[idle]):
        while time.monotonic() < ends:
            await TaskQueues(client, [queue], deadline_s=10).backlogs()
            await asyncio.sleep(0.02)
