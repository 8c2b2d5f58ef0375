import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.workflows.waiting import eventually
from workflows.engine.search_attributes import TYPES, register


@pytest.fixture
async def newcomer(temporal_client: Client) -> Client:
    """A client of a namespace without our attributes."""
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    client = Client(
        temporal_client.service_client, namespace=f"n-{uuid4()}", data_converter=temporal_client.data_converter
    )
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=retention)
    )

    async def usable() -> bool:
        try:
            await attributes(client)
        except RPCError:
            return False
        return True

    await eventually(usable, expected=True)
    return client


async def attributes(client: Client) -> Mapping[str, int]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    return dict((await client.operator_service.list_search_attributes(request)).custom_attributes)


async def test_registering_adds_what_is_missing(newcomer: Client) -> None:
    await register(newcomer)

    async def registered() -> bool:
        return (await attributes(newcomer)).items() >= TYPES.items()

    await eventually(registered, expected=True)


async def test_registering_again_changes_nothing(temporal_client: Client) -> None:
    before = await attributes(temporal_client)

    await register(temporal_client)

    assert await attributes(temporal_client) == before
    assert before.items() >= TYPES.items()


async def test_workers_that_start_together_may_all_register(newcomer: Client) -> None:
    await asyncio.gather(*(register(newcomer) for _ in range(3)))

    async def registered() -> bool:
        return (await attributes(newcomer)).items() >= TYPES.items()

    await eventually(registered, expected=True)
