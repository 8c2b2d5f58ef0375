import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, cast
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from structlog.testing import capture_logs
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

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


@dataclass(frozen=True)
class RefusingOperator:
    """An operator service that refuses every call, as on a server whose attributes an administrator creates."""

    status: RPCStatusCode

    async def list_search_attributes(self, _: ListSearchAttributesRequest) -> NoReturn:
        raise RPCError("refused", self.status, b"")


@dataclass(frozen=True)
class RefusingClient:
    operator_service: RefusingOperator
    namespace: str = "default"


@pytest.mark.parametrize("status", [RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED])
async def test_a_server_that_does_not_let_workers_register_is_accepted(status: RPCStatusCode) -> None:
    with capture_logs() as logs:
        await register(cast(Client, RefusingClient(RefusingOperator(status))))

    assert [(line["event"], line["status"]) for line in logs] == [("search_attributes_not_registered", status.name)]


async def test_an_unavailable_server_is_an_error_of_registering() -> None:
    with pytest.raises(RPCError):
        await register(cast(Client, RefusingClient(RefusingOperator(RPCStatusCode.UNAVAILABLE))))
