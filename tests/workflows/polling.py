"""Wait for the result of a run on the test server, however long the run takes."""

from collections.abc import AsyncIterator
from typing import cast

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    FetchWorkflowHistoryEventsInput,
    Interceptor,
    OutboundInterceptor,
    WorkflowHistoryEventAsyncIterator,
)


class RepeatedPolls(Interceptor):
    """Repeats the poll for a run's end.

    After 20 s the test server ends a poll with an empty page and no token for the next one, unlike a real server. The
    client then raises "No completion event found", although the run continues.
    """

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  # the SDK's name
        return _RepeatedPolls(next)


class _RepeatedPolls(OutboundInterceptor):
    def fetch_workflow_history_events(
        self,
        input: FetchWorkflowHistoryEventsInput,  # noqa: A002  # the SDK's name
    ) -> WorkflowHistoryEventAsyncIterator:
        if not input.wait_new_event:
            return super().fetch_workflow_history_events(input)
        return cast(WorkflowHistoryEventAsyncIterator, self._events(input))

    async def _events(self, wanted: FetchWorkflowHistoryEventsInput) -> AsyncIterator[HistoryEvent]:
        found = False
        while not found:
            async for event in super().fetch_workflow_history_events(wanted):
                found = True
                yield event
