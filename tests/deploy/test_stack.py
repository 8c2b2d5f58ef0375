"""The supervisor, with small shell programs as its parts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.plan import Service, Step
from deploy.local.process import Program
from deploy.local.stack import AlreadyRunningError, Stack, StopSignals, locked, supervise
from tests.processes import remaining

Shell = Callable[[str, str], Program]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    def program(name: str, script: str) -> Program:
        return Program(
            name=name,
            command=("/bin/sh", "-c", script),
            log=tmp_path / f"{name}.log",
            env=dict(os.environ),
            cwd=tmp_path,
        )

    return program


def done(_: Stack) -> int:
    return 7


def forever(stack: Stack) -> int:
    stack.watch(until=lambda: False)
    return 7


def test_the_exit_code_is_that_of_the_work(shell: Shell) -> None:
    assert supervise([Service(shell("api", "sleep 60"))], StopSignals(), done) == 7


def test_a_step_is_over_before_the_next_part_starts(shell: Shell, tmp_path: Path) -> None:
    parts = [Step(shell("migrations", "sleep 0.3; touch migrated")), Step(shell("content", "test -e migrated"))]

    assert supervise(parts, StopSignals(), done) == 7
    assert (tmp_path / "migrated").exists()


def test_a_failing_step_shows_the_end_of_its_log(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    code = supervise([Step(shell("migrations", "echo no such table; exit 3"))], StopSignals(), done)

    assert code == 1
    shown = capsys.readouterr().out
    assert "migrations ended with exit code 3" in shown
    assert "no such table" in shown


def test_nothing_starts_after_a_failure(shell: Shell, tmp_path: Path) -> None:
    supervise([Step(shell("migrations", "exit 1")), Step(shell("content", "touch seeded"))], StopSignals(), done)

    assert not (tmp_path / "seeded").exists()


def test_a_part_that_dies_ends_the_stack_and_is_named(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [Service(shell("worker", "echo out of memory; exit 9")), Service(shell("api", "sleep 60"))]

    assert supervise(parts, StopSignals(), forever) == 1
    assert "worker ended with exit code 9" in capsys.readouterr().out


def test_parts_stop_in_reverse_order(shell: Shell, tmp_path: Path) -> None:
    def says_goodbye(name: str) -> Service:
        script = f"trap 'echo {name} >> stopped; exit 0' TERM; touch {name}.up; while :; do sleep 0.05; done"
        return Service(shell(name, script), ready=(tmp_path / f"{name}.up").exists)

    supervise([says_goodbye("worker"), says_goodbye("api")], StopSignals(), done)

    assert (tmp_path / "stopped").read_text().split() == ["api", "worker"]


def test_a_signal_while_a_part_starts_ends_the_stack_in_order(shell: Shell) -> None:
    signals = StopSignals()
    signals.received()

    assert supervise([Service(shell("api", "sleep 60"), ready=lambda: False)], signals, done) == 0


def test_what_a_program_started_ends_with_it(shell: Shell, tmp_path: Path) -> None:
    script = "sleep 60 & echo $! > child; wait"
    supervise([Service(shell("worker", script), ready=(tmp_path / "child").exists)], StopSignals(), done)

    assert (tmp_path / "child").exists()
    assert remaining(tmp_path) == []


def test_a_second_stack_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(AlreadyRunningError, match="already running"), locked(tmp_path):
        pass


def test_stacks_in_two_directories_do_not_disturb_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "one"), locked(tmp_path / "two"):
        pass


def test_a_lock_tells_whether_its_last_holder_was_killed(tmp_path: Path) -> None:
    with locked(tmp_path) as first:
        pass
    with locked(tmp_path) as after_an_orderly_end:
        pass
    (tmp_path / "lock").write_text("running")
    with locked(tmp_path) as after_a_kill:
        pass

    assert (first, after_an_orderly_end, after_a_kill) == (False, False, True)
