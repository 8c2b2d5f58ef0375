"""One program of the stack as a child process: starting it, waiting for it, ending it with all it started."""

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
"""Begins the lines of a program's output that the stack shows while it waits for the program."""


class StopRequestedError(Exception):
    """Somebody asked the stack to stop while it was waiting for a program."""


class ProgramFailedError(Exception):
    """A program did not start, or ended while it was needed; `log` holds what it wrote."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"{name} {reason}")
        self.log = log


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run.

    `command[0]` is an absolute path. `stop_signal` asks it to end; `orphan_signal` is what it gets when its supervisor
    is killed. `user` is the account to run as, for a supervisor that is root.
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
    """What runs for the length of a `with` block; it stops too when its start fails half-way."""

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
    """A running program, leader of its own session so that a Ctrl-C in the terminal reaches the supervisor alone."""

    def __init__(self, program: Program, *, append_log: bool = False) -> None:
        """Starts it. Call from the main thread: on Linux a child dies with the thread that started it."""
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
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float, stopping: Callable[[], bool] = never) -> None:
        """Returns once `ready()`.

        Raises:
            ProgramFailedError: it ended first, or `timeout_s` passed.
            StopRequestedError: `stopping()` came true first.
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
        """Asks it to end, waits `grace_s` or until `hurry()`, then kills it and what is left of its process group."""
        if self.exit_code is None:
            self._popen.send_signal(self.program.stop_signal)
        deadline = time.monotonic() + grace_s
        while self.exit_code is None and time.monotonic() < deadline and not hurry():
            time.sleep(POLL_S)
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses when only a zombie is left
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(KILL_WAIT_S)


def run_to_end(program: Program, *, timeout_s: float, stopping: Callable[[], bool] = never) -> None:
    """Runs a program that ends by itself.

    Raises:
        ProgramFailedError: its exit code is not 0, or it took longer than `timeout_s`.
        StopRequestedError: `stopping()` came true; the program has been ended.
    """
    process = Process(program)
    try:
        process.wait_until(lambda: process.exit_code == 0, timeout_s=timeout_s, stopping=stopping)
    finally:
        process.stop(grace_s=2.0)


class ProgressLines:
    """The progress lines that a program has written to its log since the last look."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0

    def new(self) -> list[str]:
        """Whole new lines, without the marker; nothing while there is no log."""
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
    """The end of a log, or nothing when there is none."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []
