"""Propagate the correlation id of an HTTP request to the log lines of the activities that it causes.

A header of Temporal's messages carries the id, so inputs do not change, and replay ignores headers. A later message
replaces the id: activities after a submission log the submission's id.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import structlog
import temporalio.client
import temporalio.worker
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

HEADER: Final = "correlation-id"
FIELD: Final = "correlation_id"

Headers = Mapping[str, Payload]


class CorrelationInterceptor(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Adds the header to the calls of a client, and reads it in the client's workers."""

    def intercept_client(self, next: temporalio.client.OutboundInterceptor) -> temporalio.client.OutboundInterceptor:  # noqa: A002  # the SDK's name
        return _Calls(next)

    def intercept_activity(
        self,
        next: temporalio.worker.ActivityInboundInterceptor,  # noqa: A002  # the SDK's name
    ) -> temporalio.worker.ActivityInboundInterceptor:
        return _Activity(next)

    def workflow_interceptor_class(
        self,
        input: temporalio.worker.WorkflowInterceptorClassInput,  # noqa: A002, ARG002  # the SDK's name
    ) -> type[temporalio.worker.WorkflowInboundInterceptor]:
        return _Run


class _Calls(temporalio.client.OutboundInterceptor):
    async def start_workflow(self, input: temporalio.client.StartWorkflowInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        input.headers = {**input.headers, **_own()}
        return await super().start_workflow(input)

    async def signal_workflow(self, input: temporalio.client.SignalWorkflowInput) -> None:  # noqa: A002  # the SDK's name
        input.headers = {**input.headers, **_own()}
        await super().signal_workflow(input)


class _Activity(temporalio.worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        with structlog.contextvars.bound_contextvars(**_read(input.headers)):
            return await super().execute_activity(input)


class _Run(temporalio.worker.WorkflowInboundInterceptor):
    def init(self, outbound: temporalio.worker.WorkflowOutboundInterceptor) -> None:
        self._carried: dict[str, Payload] = {}
        super().init(_RunsCalls(outbound, self._carried))

    async def execute_workflow(self, input: temporalio.worker.ExecuteWorkflowInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        # A signal that came with the start is handled first, and its id stays.
        self._carried.update(_found(input.headers) | self._carried)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: temporalio.worker.HandleSignalInput) -> None:  # noqa: A002  # the SDK's name
        self._carried.update(_found(input.headers))
        await super().handle_signal(input)


class _RunsCalls(temporalio.worker.WorkflowOutboundInterceptor):
    """Adds the headers in `carried`, which the inbound interceptor updates."""

    def __init__(self, next: temporalio.worker.WorkflowOutboundInterceptor, carried: Headers) -> None:  # noqa: A002  # the SDK's name
        super().__init__(next)
        self._carried = carried

    def start_activity(self, input: temporalio.worker.StartActivityInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        input.headers = {**input.headers, **self._carried}
        return super().start_activity(input)

    async def start_child_workflow(self, input: temporalio.worker.StartChildWorkflowInput) -> Any:  # noqa: A002, ANN401  # the SDK's signature
        input.headers = {**input.headers, **self._carried}
        return await super().start_child_workflow(input)

    def continue_as_new(self, input: temporalio.worker.ContinueAsNewInput) -> NoReturn:  # noqa: A002  # the SDK's name
        input.headers = {**input.headers, **self._carried}
        super().continue_as_new(input)


def _own() -> dict[str, Payload]:
    """The header for the current correlation id; empty outside requests and activities."""
    correlation_id = structlog.contextvars.get_contextvars().get(FIELD)
    return {HEADER: PayloadConverter.default.to_payload(correlation_id)} if correlation_id else {}


def _found(headers: Headers) -> dict[str, Payload]:
    return {name: payload for name, payload in headers.items() if name == HEADER}


def _read(headers: Headers) -> dict[str, str]:
    payload = headers.get(HEADER)
    return {} if payload is None else {FIELD: PayloadConverter.default.from_payload(payload, str)}
