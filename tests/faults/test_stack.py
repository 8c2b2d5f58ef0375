"""The embedded stack under signals: a supervisor process, real PostgreSQL, real Temporal and a shell program."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import HOST, free_port
from tests.support.processes import remaining, working_below

pytestmark = pytest.mark.faults

READY_WITHIN_S = 60
ENDS_WITHIN_S = 60
REPLACEABLE = ("DATABASE_URL", "TEMPORAL_ADDRESS", "WEAVIATE_URL")

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")


class SmallStack:
    """A stack in its own process; `start` waits until the environment file reports that it is ready."""

    def __init__(self, local: Path) -> None:
        self.local = local
        self.env_file = local / "stack.env"
        names = ("API", "POSTGRES", "TEMPORAL", "TEMPORAL_UI", "WEAVIATE", "WEAVIATE_GRPC")
        self.ports = {f"{name}_PORT": str(free_port()) for name in names}
        self._environment = {name: value for name, value in os.environ.items() if name not in REPLACEABLE}
        self.process: subprocess.Popen[str] | None = None

    def start(self, *script: str) -> "subprocess.Popen[str]":
        process = self.launch(*script)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.env_file.exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "the stack did not become ready"
            time.sleep(0.05)
        return process

    def launch(self, *script: str) -> "subprocess.Popen[str]":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.small_stack", str(self.local), *script],
            env={**self._environment, **self.ports},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    def child(self, name: str, other_than: int | None = None) -> int:
        """Return the process id of a running part by its program's name."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not (
            found := [
                process.pid
                for process in working_below(self.local)
                if process.name() == name and process.pid != other_than
            ]
        ):
            assert time.monotonic() < deadline, f"no {name} is running"
            time.sleep(0.05)
        return found[0]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[SmallStack]:
    stack = SmallStack(tmp_path / "local")
    yield stack
    if stack.process is not None and stack.process.poll() is None:
        stack.process.kill()
        stack.process.communicate()
    for process in remaining(stack.local):
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_in_order(stack: SmallStack, number: signal.Signals) -> None:
    process = stack.start()
    assert working_below(stack.local) != []

    process.send_signal(number)
    output, _ = process.communicate(timeout=ENDS_WITHIN_S)

    assert process.returncode == 0, output
    assert working_below(stack.local) == []
    assert not stack.env_file.exists()


def test_a_second_signal_does_not_wait_for_a_stubborn_program(stack: SmallStack) -> None:
    process = stack.start("trap '' TERM; while :; do sleep 0.1; done")

    process.send_signal(signal.SIGINT)
    time.sleep(1)  # the supervisor waits for the program
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=ENDS_WITHIN_S)

    assert process.returncode == 0
    assert remaining(stack.local) == []


@linux_only
def test_killing_the_supervisor_leaves_no_child(stack: SmallStack) -> None:
    process = stack.start()

    process.kill()
    process.communicate()

    assert remaining(stack.local) == []


@linux_only
def test_the_stack_restarts_after_its_supervisor_was_killed(stack: SmallStack) -> None:
    killed = stack.start()
    with killed:
        killed.kill()
    stack.env_file.unlink()

    stack.start()

    assert stack.env_file.exists()


def test_the_stack_starts_again_after_a_kill_of_everything(stack: SmallStack) -> None:
    process = stack.start()
    for each in working_below(stack.local):
        each.kill()
    process.kill()
    process.communicate()
    stack.env_file.unlink(missing_ok=True)

    stack.start()

    assert stack.env_file.exists()


@pytest.mark.parametrize("name", ["postgres", "temporal"])
def test_a_server_that_dies_ends_the_stack_and_is_named(stack: SmallStack, name: str) -> None:
    process = stack.start()

    os.kill(stack.child(name), signal.SIGKILL)
    output, _ = process.communicate(timeout=ENDS_WITHIN_S)

    assert process.returncode == 1
    assert f"{name} ended with exit code -9" in output
    assert remaining(stack.local) == []


def test_a_killed_service_restarts_while_the_stack_runs(stack: SmallStack) -> None:
    process = stack.start()
    killed = stack.child("sleep")

    os.kill(killed, signal.SIGKILL)
    started_again = stack.child("sleep", other_than=killed)
    still_running = process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=ENDS_WITHIN_S)

    assert started_again != killed
    assert still_running
    assert "program ended with exit code -9; restarting it in 0.5 s" in output
    assert process.returncode == 0
    assert remaining(stack.local) == []


def test_a_service_that_keeps_exiting_stops_the_stack(stack: SmallStack) -> None:
    process = stack.launch("echo the port is taken; exit 3")

    output, _ = process.communicate(timeout=READY_WITHIN_S + ENDS_WITHIN_S)

    assert process.returncode == 1
    assert "program ended with exit code 3, 5 times in a row soon after its start" in output
    assert "the port is taken" in output
    assert remaining(stack.local) == []


def test_a_taken_port_stops_the_start_before_it_begins(stack: SmallStack) -> None:
    with socket.create_server((HOST, int(stack.ports["TEMPORAL_UI_PORT"]))):
        process = stack.launch()
        output, _ = process.communicate(timeout=ENDS_WITHIN_S)

    assert process.returncode == 1
    assert "TEMPORAL_UI_PORT" in output
    assert sorted(path.name for path in stack.local.iterdir()) == ["lock"]


def test_a_second_stack_in_the_same_place_is_refused(stack: SmallStack) -> None:
    first = stack.start()

    second = stack.launch()
    output, _ = second.communicate(timeout=ENDS_WITHIN_S)
    stack.process = first

    assert second.returncode == 1
    assert "already running" in output
    assert stack.env_file.exists()
