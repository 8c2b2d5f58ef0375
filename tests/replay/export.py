"""`make histories`: run the tests of the branches and store the histories of their workflows.

`python -m tests.replay.export BRANCH …` limits it to some branches.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from temporalio.api.filter.v1 import StartTimeFilter
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    ListClosedWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsRequest,
)
from temporalio.client import Client, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from tests.replay import histories
from tests.replay.branches import BRANCHES
from workflows.engine.process_exit import run_and_leave
from workflows.engine.workers import WORKFLOWS

TYPES: Final = {workflow.__name__ for workflows in WORKFLOWS.values() for workflow in workflows}
SERVERS: Final = {"environment", "temporal_client"}
"""The fixtures of tests/workflows that start a server."""
INDEXED_WITHIN_S: Final = 2.0
"""The dev server lists a run with a delay after a change."""


class Recorder:
    """A pytest plugin that stores the histories that each test leaves on its servers."""

    def __init__(self, branches: dict[str, str]) -> None:
        self._branch_of = {test: branch for branch, test in branches.items()}
        self._servers: dict[str, Client] = {}
        self._seen: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        result = yield
        if fixturedef.argname in SERVERS:
            self._servers[fixturedef.argname] = result.client if isinstance(result, WorkflowEnvironment) else result
        return result

    @pytest.fixture(autouse=True)
    async def kept(self, request: pytest.FixtureRequest) -> AsyncIterator[None]:
        yield
        branch = self._branch_of[request.node.nodeid]
        shutil.rmtree(histories.DIRECTORY / branch, ignore_errors=True)
        await asyncio.sleep(INDEXED_WITHIN_S)
        kept: list[WorkflowHistory] = []
        for name in sorted(SERVERS & set(request.fixturenames)):
            kept += [await self._history(name, found) for found in await self._new_runs(self._servers[name])]
        histories.write_all(histories.DIRECTORY / branch, kept)

    async def _history(self, server: str, found: WorkflowExecutionInfo) -> WorkflowHistory:
        handle = self._servers[server].get_workflow_handle(found.execution.workflow_id, run_id=found.execution.run_id)
        return await handle.fetch_history()

    async def _new_runs(self, client: Client) -> list[WorkflowExecutionInfo]:
        """The test's new runs, by start time."""
        ever = StartTimeFilter()
        ever.latest_time.FromDatetime(datetime(2100, 1, 1, tzinfo=UTC))
        service = client.workflow_service
        open_ = await service.list_open_workflow_executions(
            ListOpenWorkflowExecutionsRequest(namespace=client.namespace, start_time_filter=ever)
        )
        closed = await service.list_closed_workflow_executions(
            ListClosedWorkflowExecutionsRequest(namespace=client.namespace, start_time_filter=ever)
        )
        new = [
            each
            for each in (*open_.executions, *closed.executions)
            if each.execution.run_id not in self._seen and each.type.name in TYPES
        ]
        self._seen |= {each.execution.run_id for each in new}
        return sorted(new, key=lambda each: each.start_time.ToNanoseconds())


def main() -> int:
    branches = {branch: BRANCHES[branch] for branch in sys.argv[1:] or BRANCHES}
    # This process has imported the plugins' modules before pytest could rewrite them.
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = pytest.main([*branches.values(), *options], plugins=[Recorder(branches)])
    for kept in histories.DIRECTORY.iterdir():
        if kept.name not in BRANCHES:
            shutil.rmtree(kept)
    return int(code)


if __name__ == "__main__":
    run_and_leave(main)
