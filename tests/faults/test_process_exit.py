"""A process with a Temporal client and a worker always exits with the code that it chose."""

import sys
from functools import partial
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from deploy.local.process import Process, Program
from deploy.local.settings import CHECKOUT
from deploy.local.temporal import TemporalDevServer
from tests.support.deployment import stack_environment

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

REPEATS, AT_ONCE = 50, 5


def test_sigterm_ends_fifty_workers_with_code_0(tmp_path: Path) -> None:
    with TemporalDevServer(None, free_port(), None, log=tmp_path / "temporal.log") as temporal:
        codes = [code for _ in range(REPEATS // AT_ONCE) for code in _codes(temporal, tmp_path)]

    assert codes == [0] * REPEATS


def _codes(temporal: TemporalDevServer, directory: Path) -> list[int | None]:
    """Return the exit codes of workers that run at the same time."""
    environment = stack_environment("") | {"TEMPORAL_ADDRESS": temporal.address}
    command = (sys.executable, "-m", "tests.benchmarks.nothing")
    logs = [directory / f"nothing-{number}.log" for number in range(AT_ONCE)]
    processes = [
        Process(Program(name="nothing", command=command, log=log, env=environment, cwd=CHECKOUT)) for log in logs
    ]
    for process, log in zip(processes, logs, strict=True):
        process.wait_until(partial(_serves, log), timeout_s=120)
    for process in processes:
        process.stop(grace_s=60)
    return [process.exit_code for process in processes]


def _serves(log: Path) -> bool:
    return "serving" in log.read_text()
