"""Run one program of the stack as a child process, and end it with all processes that it started."""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LAUNCH = Path(__file__).with_name("launch.py")
POLL_S = 0.05
KILL_WAIT_S = 10.0
PROGRESS = "progress: "
"""The prefix of output lines that the stack prints while it waits for a program."""


class StopRequestedError(Exception):
    """The stack was asked to stop while it waited for a program."""


class ProgramFailedError(Exception):
    """A program did not start, or ended while it was needed. `log` has its output."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"{name} {reason}")
        self.log = log


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to run.

    `command[0]` is an absolute path. `stop_signal` asks the program to end. It gets `orphan_signal` when its supervisor
    is killed. `user` is the account to run as if the supervisor is root.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    env: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    user: str | None = None


class Startable(ABC):
    """A server that runs during a `with` block. A failed start stops it, too."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Process:
    """A running program in its own session, so that Ctrl-C in the terminal reaches only the supervisor."""

    def __init__(self, program: Program, *, append_log: bool = False) -> None:
        """Start the program. Call it in the main thread: on Linux a child ends with the thread that started it."""
        self.program = program
        self.started = time.monotonic()
        program.log.parent.mkdir(parents=True, exist_ok=True)
        launch = [str(os.getpid()), str(int(program.orphan_signal)), program.user or "", *program.command]
        with program.log.open("ab" if append_log else "wb") as log:
            self._popen = subprocess.Popen(  # noqa: S603  # the command is the stack's own
                [sys.executable, "-I", "-S", str(LAUNCH), *launch],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(program.env),
                cwd=program.cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code: None while the program runs, negative if a signal ended it."""
        return self._popen.poll()

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float, stopping: Callable[[], bool] = never) -> None:
        """Wait until `ready()` is true.

        Raises:
            ProgramFailedError: the program ended, or `timeout_s` passed.
            StopRequestedError: `stopping()` was true.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if stopping():
                raise StopRequestedError
            if self.exit_code is not None:
                raise self.failure(f"ended with exit code {self.exit_code}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {timeout_s:.0f} s")
            time.sleep(POLL_S)

    def failure(self, reason: str) -> ProgramFailedError:
        return ProgramFailedError(self.program.name, reason, self.program.log)

    def stop(self, *, grace_s: float, hurry: Callable[[], bool] = never) -> None:
        """Send the stop signal, wait for `grace_s` or until `hurry()`, then kill the process group.

        Raises:
            ProgramFailedError: the program still runs `KILL_WAIT_S` after SIGKILL, for example because its disk hangs.
        """
        if self.exit_code is None:
            self._popen.send_signal(self.program.stop_signal)
        deadline = time.monotonic() + grace_s
        while self.exit_code is None and time.monotonic() < deadline and not hurry():
            time.sleep(POLL_S)
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses when only a zombie is left
            os.killpg(self.pid, signal.SIGKILL)
        try:
            self._popen.wait(KILL_WAIT_S)
        except subprocess.TimeoutExpired as error:
            raise self.failure(f"still runs {KILL_WAIT_S:.0f} s after SIGKILL") from error


def run_to_end(program: Program, *, timeout_s: float, stopping: Callable[[], bool] = never) -> None:
    """Run a program and wait for its end.

    Raises:
        ProgramFailedError: its exit code is not 0, or it took longer than `timeout_s`.
        StopRequestedError: `stopping()` was true. The program has been ended.
    """
    process = Process(program)
    try:
        process.wait_until(lambda: process.exit_code == 0, timeout_s=timeout_s, stopping=stopping)
    finally:
        process.stop(grace_s=2.0)


class ProgressLines:
    """A reader of the progress lines in a program's log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0

    def new(self) -> list[str]:
        """Return the complete lines since the last call, without the prefix. Empty if the log does not exist."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._read)
                text, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._read += len(text + newline)
        lines = text.decode(errors="replace").splitlines()
        return [line.removeprefix(PROGRESS) for line in lines if line.startswith(PROGRESS)]


def last_lines(log: Path, count: int = 20) -> list[str]:
    """Return the last lines of a log. Empty if the log does not exist."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []
