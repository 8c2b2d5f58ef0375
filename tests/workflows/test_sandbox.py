"""The strict sandbox rejects undeclared imports. `test_assessment` and `test_reconciliation` run our workflows in it.

A module that is not passed through is loaded again for every run, which costs 30 times as much as the run.
"""

from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import UnintentionalPassthroughError

from tests.workflows.sandbox import STRICT


@workflow.defn
class CarelessWorkflow:
    """Its module imports pytest without passing it through."""

    @workflow.run
    async def run(self) -> None: ...


async def test_the_strict_sandbox_rejects_modules_that_are_not_passed_through(temporal_client: Client) -> None:
    with pytest.raises(RuntimeError) as refused:
        Worker(
            temporal_client,
            task_queue=f"sandbox-{uuid4()}",
            workflows=[CarelessWorkflow],
            workflow_runner=STRICT,
        )

    assert isinstance(refused.value.__cause__, UnintentionalPassthroughError)
