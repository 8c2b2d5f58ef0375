"""The supervisor of the stack, with small shell programs as parts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.plan import Service, Step
from deploy.local.process import Program, ProgramFailedError, never
from deploy.local.restarts import Restarts
from deploy.local.stack import AlreadyRunningError, Stack, StopSignals, locked, supervise
from tests.support.processes import remaining, working_below

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


def test_the_progress_of_a_step_is_shown_while_it_runs(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    script = "echo progress: one of two; echo other; sleep 0.3; echo progress: two of two; sleep 0.3"

    supervise([Step(shell("content", script))], StopSignals(), done)

    shown = capsys.readouterr().out
    assert shown.startswith("content    one of two\n           two of two\n           ready ")
    assert "other" not in shown


def test_nothing_starts_after_a_failure(shell: Shell, tmp_path: Path) -> None:
    supervise([Step(shell("migrations", "exit 1")), Step(shell("content", "touch seeded"))], StopSignals(), done)

    assert not (tmp_path / "seeded").exists()


def test_a_service_that_ends_soon_after_every_start_ends_the_stack(
    shell: Shell, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    worker = Service(shell("worker", "echo start >> starts; echo out of memory; exit 9"), restarts=Restarts(0.01))

    code = supervise([worker, Service(shell("api", "sleep 60"))], StopSignals(), forever)

    shown = capsys.readouterr().out
    assert code == 1
    assert "worker ended with exit code 9, 5 times in a row soon after its start" in shown
    assert "out of memory" in shown
    assert len((tmp_path / "starts").read_text().splitlines()) == 5


def test_a_service_that_ended_is_started_again_while_the_rest_runs(
    shell: Shell, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = "if test -e died; then echo second; touch again; sleep 60; fi; echo first; touch died; exit 9"
    worker = Service(shell("worker", script), restarts=Restarts(0.01))

    def until_again(stack: Stack) -> int:
        stack.watch(until=(tmp_path / "again").exists)
        return 7

    assert supervise([worker, Service(shell("api", "sleep 60"))], StopSignals(), until_again) == 7
    assert "worker ended with exit code 9; restarting it in 0.01 s" in capsys.readouterr().out
    assert worker.program.log.read_text().split() == ["first", "second"]


def test_a_restart_ends_what_the_last_process_left_behind(shell: Shell, tmp_path: Path) -> None:
    script = "if test -e died; then touch again; sleep 60; fi; sleep 77 & touch died; exit 9"
    worker = Service(shell("worker", script), restarts=Restarts(0.01))

    def count_left(stack: Stack) -> int:
        stack.watch(until=(tmp_path / "again").exists)
        return sum("77" in process.cmdline() for process in working_below(tmp_path))

    assert supervise([worker], StopSignals(), count_left) == 0


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


class Unkillable(Service):
    """A service that runs on after SIGKILL, as on a disk that hangs."""

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        super().stop(hurry)
        raise ProgramFailedError(self.name, "still runs 10 s after SIGKILL", self.program.log)


def test_a_program_that_does_not_end_is_reported_and_the_others_are_stopped(
    shell: Shell, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    parts = [Service(shell("worker", "sleep 60")), Unkillable(shell("api", "sleep 60"))]

    code = supervise(parts, StopSignals(), lambda _: 0)

    assert code == 1
    assert "api still runs 10 s after SIGKILL" in capsys.readouterr().out
    assert remaining(tmp_path) == []
