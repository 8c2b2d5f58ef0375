"""The supervisor of the stack: start the parts, restart services that ended, and stop all parts at the end."""

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
    """Print a line. A closed terminal or pipe is ignored, because the stack must still stop in order."""
    with suppress(OSError):
        sys.stdout.write(text + end)
        sys.stdout.flush()


@contextmanager
def locked(local: Path) -> Iterator[bool]:
    """Lock `local` for one stack, and yield whether the last one was killed.

    The kernel releases the lock even after kill -9. The content of the lock file then shows that the stack did not stop
    in order.

    Raises:
        AlreadyRunningError: another process holds the lock.
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
    """A count of Ctrl-C, SIGTERM and closed terminals. The first stops the stack, the second shortens the stop.

    The handler only counts. An exception could interrupt the code that starts or stops a program.
    """

    def __init__(self) -> None:
        self._count = 0

    def listen(self) -> Self:
        """Count these signals from now on. Call it in the main thread."""
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
    """The parts in starting order. `start` and `watch` may raise; `stop` ends all running parts."""

    def __init__(self, parts: Sequence[Part], signals: StopSignals) -> None:
        self._parts = parts
        self._signals = signals
        self._restart_at: dict[str, float] = {}  # by the name of a service whose process ended

    def start(self) -> None:
        """Start the parts one after the other and print a line for each.

        Raises:
            ProgramFailedError: a part did not start, or a started part has ended.
            StopRequestedError: a signal asked the stack to stop.
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
        """Return a function that a starting part polls: it prints the part's progress and says whether to stop."""
        if not isinstance(part, Step):
            return self._signals.stopping
        progress = ProgressLines(part.program.log)

        def stopping() -> bool:
            for line in progress.new():
                say(f"{line}\n{'':<11}", end="")
            return self._signals.stopping()

        return stopping

    def watch(self, until: Callable[[], bool]) -> None:
        """Watch the parts until `until()` is true. Raises the errors of `start`."""
        while not until():
            if self._signals.stopping():
                raise StopRequestedError
            self._check()
            time.sleep(WATCH_S)

    def stop(self) -> list[ProgramFailedError]:
        """Stop the parts in reverse order. Return a failure for each that has not ended.

        An error does not prevent the stop of the others.
        """
        failures: list[ProgramFailedError] = []

        def stop(part: Part) -> None:
            try:
                part.stop(self._signals.hurry)
            except ProgramFailedError as failure:
                failures.append(failure)

        with ExitStack() as remaining:
            for part in self._parts:
                remaining.callback(stop, part)
        return failures

    def _check(self) -> None:
        """Restart services that ended. If another part has ended, raise.

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
                say(f"{part.name} restarted")

    def _schedule_restart(self, service: Service, ended: Process, code: int) -> None:
        now = time.monotonic()
        pause_s = service.restarts.pause_after(now - ended.started)
        if pause_s is None:
            raise ended.failure(f"ended with exit code {code}, {EARLY_EXITS} times in a row soon after its start")
        say(f"{service.name} ended with exit code {code}; restarting it in {pause_s:g} s")
        self._restart_at[service.name] = now + pause_s


def supervise(parts: Sequence[Part], signals: StopSignals, work: Callable[[Stack], int]) -> int:
    """Run `work` on the started stack, stop the stack, and return the exit code.

    The exit code is 0 after a signal, which is the normal way to stop, and 1 if a part failed or did not end. Then the
    end of its log is printed.
    """
    stack = Stack(parts, signals)
    try:
        stack.start()
        code = work(stack)
    except StopRequestedError:
        code = 0
    except ProgramFailedError as failure:
        say("")
        _show(failure)
        code = 1
    finally:
        say("stopping")
        failures = stack.stop()
        for each in failures:
            _show(each)
        say("stopped, except for the above" if failures else "stopped")
    return 1 if failures else code


def _show(failure: ProgramFailedError) -> None:
    say(f"{failure}. The end of {failure.log}:")
    say("\n".join(f"  {line}" for line in last_lines(failure.log)))
