"""Text analysis in child processes, each of which can be killed without stopping the worker.

A process pool of the standard library or of pebble imports the worker's main module in each child: 80 MB and 5 s per
child, measured. A child of this module imports only the domain: 9 MB and 0.3 s.

The event loop does not start the children: uvloop forks, and OpenBLAS, which NumPy computes with, ends its threads at a
fork. If one of them is computing, the fork never returns. `subprocess.Popen` uses vfork, which does not affect them.
"""

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, ParamSpec, Self, TypeVar, cast

import structlog

from activities.adapters import text_process_child
from activities.adapters.text_process_child import LENGTH, OUT_OF_MEMORY, Failure
from domain.errors import AnalysisFailed

MOST_PROCESSES: Final = 4
"""The most children at a time. They are started on demand, and most workers need one."""
DEADLINE_S: Final = 5.0
"""The time limit of one analysis, which usually takes milliseconds."""
START_S: Final = 60.0
"""The time limit for the start of a child, long enough for a busy machine."""
TRIES: Final = 2
"""The number of attempts. The second one distinguishes a text that crashes every child from a child that was killed for
another reason."""
MOST_BYTES: Final = 256 << 20
"""The memory limit of a child, which uses 17 MB. All children together fit into a worker's container."""

_ROOT: Final = Path(__file__).parents[2]
_PROGRAM: Final = f"from {text_process_child.__name__} import main; main({{}}, {{}})"
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH")
"""The environment variables of a child; none of them is a secret."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class _ChildLostError(Exception):
    """The child was killed, crashed or ran out of memory, as the message says."""


class ProcessAnalysis:
    """A TextAnalysis in child processes. `deadline_s` limits each attempt; the event loop is never blocked."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, most_bytes: int = MOST_BYTES) -> None:
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._free = asyncio.Semaphore(MOST_PROCESSES)
        self._idle: list[_Child] = []
        self._threads = ThreadPoolExecutor(MOST_PROCESSES, "text-analysis")
        """They wait for the children."""

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        request = pickle.dumps((function, args, kwargs))
        problem = ""
        for _ in range(TRIES):
            try:
                reply = await self._ask(request)
            except _ChildLostError as error:
                problem = str(error)
                log.warning("analysis_stopped", function=function.__name__, problem=problem)
                continue
            if isinstance(reply, Failure):
                log.error("analysis_failed", function=function.__name__, error=reply.error, where=reply.where)
                raise AnalysisFailed(f"The analysis failed: {reply.error}")
            return cast(Result, reply)
        raise AnalysisFailed(f"The analysis failed: {problem}")

    def close(self) -> None:
        while self._idle:
            self._end(self._idle.pop())
        self._threads.shutdown(wait=False)

    async def _ask(self, request: bytes) -> object:
        """Send the request to an idle or a new child, and return its reply."""
        async with self._free:
            child = self._living_child() or await self._started()
            reply = await self._reply(child, request, self._deadline_s)
            self._idle.append(child)
            return reply

    async def _started(self) -> "_Child":
        child = await self._in_thread(partial(_Child.start, self._deadline_s, self._most_bytes))
        await self._reply(child, pickle.dumps((int, (), {})), START_S)
        return child

    def _living_child(self) -> "_Child | None":
        """Return an idle child, if any. A child that was killed while it was idle would cost the text an attempt."""
        while self._idle:
            child = self._idle.pop()
            if child.process.poll() is None:
                return child
            self._end(child)
        return None

    async def _reply(self, child: "_Child", request: bytes, deadline_s: float) -> object:
        """Return the reply of the child, and end a child that does not reply.

        Raises:
            _ChildLostError: the child did not reply.
        """
        replied = False
        try:
            async with asyncio.timeout(deadline_s):
                reply = await self._in_thread(partial(child.ask, request))
            if isinstance(reply, Failure) and reply.error == OUT_OF_MEMORY:
                raise _ChildLostError("out of memory")
            replied = True
        except TimeoutError:
            raise _ChildLostError(f"not done after {deadline_s:g} s") from None
        except (EOFError, ConnectionError):
            raise _ChildLostError("its process crashed") from None
        finally:
            if not replied:
                self._end(child)
        return reply

    def _end(self, child: "_Child") -> None:
        """Kill the child, which also ends a thread that waits for it. A thread then removes it."""
        child.process.kill()
        self._threads.submit(child.close)

    async def _in_thread(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


@dataclass(frozen=True, slots=True)
class _Child:
    """A child process. The methods block."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, deadline_s: float, most_bytes: int) -> Self:
        # The child also limits itself, in case this process is killed.
        limits = (int(deadline_s) + 2, most_bytes)
        return cls(
            subprocess.Popen(  # noqa: S603  # fixed arguments
                [sys.executable, "-c", _PROGRAM.format(*limits)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=_ROOT,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )
        )

    def ask(self, request: bytes) -> object:
        """Return the reply. Raises EOFError or ConnectionError if the child ended."""
        requests, replies = cast(BinaryIO, self.process.stdin), cast(BinaryIO, self.process.stdout)
        requests.write(LENGTH.pack(len(request)) + request)
        requests.flush()
        (length,) = LENGTH.unpack(_read(replies, LENGTH.size))
        return pickle.loads(_read(replies, length))  # noqa: S301  # a child of this process

    def close(self) -> None:
        """Close the pipes and wait for the end of a killed child."""
        with suppress(ConnectionError), self.process:
            pass


def _read(stream: BinaryIO, length: int) -> bytes:
    if len(content := stream.read(length)) < length:
        raise EOFError
    return content
