"""The strict sandbox rejects undeclared imports. `test_assessment` and `test_reconciliation` run our workflows in it.

A module that is not passed through is loaded again for every run, which costs 30 times as much as the run. Workers in
production run workflows without the sandbox, so an import inside a workflow function would block their event loop.
"""

import ast
import inspect
import sys
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import UnintentionalPassthroughError

from tests.workflows.sandbox import STRICT
from workflows.engine.workers import WORKFLOWS


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


@pytest.mark.parametrize("module", sorted({each.__module__ for types in WORKFLOWS.values() for each in types}))
def test_no_workflow_imports_inside_a_function(module: str) -> None:
    tree = ast.parse(inspect.getsource(sys.modules[module]))

    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    imports = [ast.unparse(node) for function in functions for node in ast.walk(function) if _is_import(node)]
    assert functions
    assert imports == []


def _is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)
