"""Connecting to Temporal."""

import asyncio

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client

from workflows.engine import client


async def test_a_worker_waits_for_the_server_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def away(**_: object) -> Client:
        if len(pauses) == 7:
            return connected
        raise RuntimeError("Failed client connect")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    connected = await Client.connect("127.0.0.1:1", lazy=True)
    monkeypatch.setattr(client, "connect", away)
    monkeypatch.setattr(asyncio, "sleep", sleep)

    with capture_logs() as logs:
        found = await client.connect_when_available()

    assert found is connected
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert [(line["event"], line["next_attempt_in_s"]) for line in logs] == [
        ("engine_unavailable", pause) for pause in pauses
    ]
