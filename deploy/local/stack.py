"""Starts the parts of the stack, watches them, starts services again that ended, and stops all of them in the end."""

import fcntl
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Self

from deploy.local.plan import Part, Service, Step
from deploy.local.process import Process, ProgramFailedError, ProgressLines, StopRequestedError, last_lines
from deploy.local.restarts import EARLY_EXITS

WATCH_S = 0.1


class AlreadyRunningError(Exception):
    """Another stack runs on the same directory."""


def say(text: str, end: str = "\n") -> None:
    """Shows progress; a closed terminal or pipe must not keep the stack from stopping."""
    with suppress(OSError):
        sys.stdout.write(text + end)
        sys.stdout.flush()


@contextmanager
def locked(local: Path) -> Iterator[bool]:
    """Keeps other stacks off `local`; yields whether the last one was killed.

    The kernel gives the lock back even after a kill -9; what is written in the file then still stands there.

    Raises:
        AlreadyRunningError: somebody else holds it.
    """
    local.mkdir(parents=True, exist_ok=True)
    with (local / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(f"A stack is already running on {local}. Stop it first (Ctrl-C).") from error
        file.seek(0)
        was_killed = bool(file.read())
        file.truncate(0)
        file.write("running")
        file.flush()
        try:
            yield was_killed
        finally:
            file.truncate(0)


class StopSignals:
    """Counts Ctrl-C, SIGTERM and a closed terminal: the first stops, the second hurries.

    A handler that raised could interrupt the very code that starts or stops a program; a count cannot.
    """

    def __init__(self) -> None:
        self._count = 0

    def listen(self) -> Self:
        """From now on these signals of the process are counted. For the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored by nohup
                signal.signal(number, self.received)
        return self

    def received(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self._count += 1

    def stopping(self) -> bool:
        return self._count > 0

    def hurry(self) -> bool:
        return self._count > 1


class Stack:
    """The parts, in starting order. `start` and `watch` raise; `stop` always ends everything that runs."""

    def __init__(self, parts: Sequence[Part], signals: StopSignals) -> None:
        self._parts = parts
        self._signals = signals
        self._restart_at: dict[str, float] = {}  # by the name of a service whose process ended

    def start(self) -> None:
        """Starts one part after the other, a line each.

        Raises:
            ProgramFailedError: a part did not start, or one that had started has ended for good.
            StopRequestedError: a signal asked for the end.
        """
        for part in self._parts:
            say(f"{part.name:<11}", end="")
            began = time.monotonic()
            try:
                part.start(self._reporting(part))
            except (ProgramFailedError, StopRequestedError):
                say("stopped" if self._signals.stopping() else "failed")
                raise
            say(f"ready {time.monotonic() - began:6.1f} s   {part.detail}".rstrip())
            self._check()

    def _reporting(self, part: Part) -> Callable[[], bool]:
        """Tells whether to stop, as a part asks again and again while it starts, and shows the part's progress."""
        if not isinstance(part, Step):
            return self._signals.stopping
        progress = ProgressLines(part.program.log)

        def stopping() -> bool:
            for line in progress.new():
                say(f"{line}\n{'':<11}", end="")
            return self._signals.stopping()

        return stopping

    def watch(self, until: Callable[[], bool]) -> None:
        """Returns when `until()`; raises as `start` does."""
        while not until():
            if self._signals.stopping():
                raise StopRequestedError
            self._check()
            time.sleep(WATCH_S)

    def stop(self) -> None:
        """In reverse order, the rest too when one cannot be stopped."""
        with ExitStack() as remaining:
            for part in self._parts:
                remaining.callback(part.stop, self._signals.hurry)

    def _check(self) -> None:
        """Starts services again; any other part that ended ends the stack.

        Raises:
            ProgramFailedError: a server ended, or a service ended right after its start several times in a row.
        """
        for part in self._parts:
            if part.process is None or (code := part.process.exit_code) is None:
                continue
            if not isinstance(part, Service):
                raise part.process.failure(f"ended with exit code {code} while the stack was running")
            if part.name not in self._restart_at:
                self._schedule_restart(part, part.process, code)
            elif time.monotonic() >= self._restart_at[part.name]:
                del self._restart_at[part.name]
                part.restart()
                say(f"{part.name} started again")

    def _schedule_restart(self, service: Service, ended: Process, code: int) -> None:
        now = time.monotonic()
        pause_s = service.restarts.pause_after(now - ended.started)
        if pause_s is None:
            raise ended.failure(f"ended with exit code {code}, {EARLY_EXITS} times in a row soon after its start")
        say(f"{service.name} ended with exit code {code}; starting it again in {pause_s:g} s")
        self._restart_at[service.name] = now + pause_s


def supervise(parts: Sequence[Part], signals: StopSignals, work: Callable[[Stack], int]) -> int:
    """Runs `work` on the started stack, stops the stack and returns the exit code.

    0 when a signal ended it: that is how a stack is meant to stop. 1 when a part failed; its log's end is shown.
    """
    stack = Stack(parts, signals)
    try:
        stack.start()
        return work(stack)
    except StopRequestedError:
        return 0
    except ProgramFailedError as failure:
        say(f"\n{failure}. The end of {failure.log}:")
        say("\n".join(f"  {line}" for line in last_lines(failure.log)))
        return 1
    finally:
        say("stopping")
        stack.stop()
        say("stopped")
