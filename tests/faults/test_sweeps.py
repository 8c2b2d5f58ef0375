"""A build of the workers vanishes in the middle of a sweep. Later sweeps must come with the next build."""

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.ports import free_port
from deploy.local.temporal import NAMESPACE, TemporalDevServer
from tests.support.deployment import Server, eventually, stack_environment

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

WORKER = ("-m", "tests.faults.sweeping_worker")
WITHIN_S = 100.0
"""A killed activity is detected after 30 s. This is less than the execution timeout, which also ends a stuck sweep."""


@pytest.fixture
def temporal(tmp_path: Path) -> Iterator[TemporalDevServer]:
    with TemporalDevServer(None, free_port(), None, log=tmp_path / "temporal.log") as server:
        yield server


def command(temporal: TemporalDevServer, *arguments: str) -> Any:
    """Return the output of Temporal's command line, or None if the server refuses the command."""
    program = str(Path(sysconfig.get_path("scripts")) / "temporal")
    where = ("--address", temporal.address, "--namespace", NAMESPACE, "--disable-config-file", "--output", "json")
    ran = subprocess.run([program, *arguments, *where], check=False, capture_output=True, text=True)
    return json.loads(ran.stdout or "{}") if ran.returncode == 0 else None


def make_current(temporal: TemporalDevServer, build: str) -> None:
    which = ("--deployment-name", "microcred", "--build-id", build)
    set_current = ("worker", "deployment", "set-current-version", *which, "--ignore-missing-task-queues", "--yes")
    eventually(lambda: command(temporal, "worker", "deployment", "describe-version", *which))
    eventually(lambda: command(temporal, *set_current) is not None)


def swept(temporal: TemporalDevServer) -> int:
    """Return the number of sweeps that the Schedule of unclaimed submissions started and that ended."""
    query = "WorkflowType = 'ReconciliationWorkflow' AND ExecutionStatus = 'Completed'"
    found = command(temporal, "workflow", "list", "--query", query) or []
    mine = [each for each in found if each["execution"]["workflowId"].startswith("reconciliation-2")]
    return len(mine)


def test_sweeps_continue_after_their_build_was_killed_in_mid_sweep(temporal: TemporalDevServer, tmp_path: Path) -> None:
    environment = stack_environment("") | {"TEMPORAL_ADDRESS": temporal.address, "TEMPORAL_NAMESPACE": NAMESPACE}
    first = Server("first", (*WORKER, "hang"), environment | {"WORKER_BUILD_ID": "first"}, tmp_path)
    second = Server("second", WORKER, environment | {"WORKER_BUILD_ID": "second"}, tmp_path)
    first.launch()
    make_current(temporal, "first")
    eventually(lambda: "sweeping unclaimed" in first.log.read_text())

    first.kill()
    second.launch()
    make_current(temporal, "second")

    eventually(lambda: swept(temporal) >= 2, within_s=WITHIN_S)
    second.stop()
