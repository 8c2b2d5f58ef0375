"""Text analysis in child processes, each of which can be stopped without stopping the worker.

A process pool of the standard library, or of pebble, imports the worker's main module in each child: 80 MB and 5 s a
child, measured. A child of this module imports the domain only: 9 MB and 0.3 s.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, Self, TypeVar, cast

import structlog

from activities.adapters import text_process_child
from activities.adapters.text_process_child import LENGTH, OUT_OF_MEMORY, Failure
from domain.errors import AnalysisFailed

MOST_PROCESSES: Final = 4
"""Children at a time. They are started when they are needed, and most workers need one."""
DEADLINE_S: Final = 5.0
"""For one analysis, which takes milliseconds."""
START_S: Final = 60.0
"""For the start of a child on a busy machine."""
TRIES: Final = 2
"""A second try tells a text that crashes every child from a child that was killed for another reason."""
MOST_BYTES: Final = 256 << 20
"""Of memory, for a child: it uses 17 MB, and all of them fit into a worker's container."""

_ROOT: Final = Path(__file__).parents[2]
_PROGRAM: Final = f"from {text_process_child.__name__} import main; main({{}}, {{}})"
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH")
"""The variables that a child is given: no secrets are among them."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class _ChildLostError(Exception):
    """The child was stopped, crashed, or ran out of memory; its text says which."""


class ProcessAnalysis:
    """A TextAnalysis. `deadline_s` bounds a try; the event loop is never blocked."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, most_bytes: int = MOST_BYTES) -> None:
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._free = asyncio.Semaphore(MOST_PROCESSES)
        self._idle: list[_Child] = []

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
            self._idle.pop().kill()

    async def _ask(self, request: bytes) -> object:
        """The reply of an idle child. A child that did not reply, for whatever reason, is killed."""
        async with self._free:
            child = self._idle.pop() if self._idle else await _Child.start(self._deadline_s, self._most_bytes)
            try:
                reply = await child.ask(request, self._deadline_s)
            except BaseException:
                child.kill()
                raise
            self._idle.append(child)
            return reply


@dataclass(frozen=True, slots=True)
class _Child:
    process: asyncio.subprocess.Process
    requests: asyncio.StreamWriter
    replies: asyncio.StreamReader

    @classmethod
    async def start(cls, deadline_s: float, most_bytes: int) -> Self:
        # The child's own limit ends it where this process was killed and cannot.
        limits = (int(deadline_s) + 2, most_bytes)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _PROGRAM.format(*limits)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=_ROOT,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
        )
        child = cls(process, cast(asyncio.StreamWriter, process.stdin), cast(asyncio.StreamReader, process.stdout))
        try:
            await child.ask(pickle.dumps((int, (), {})), START_S)
        except BaseException:
            child.kill()
            raise
        return child

    async def ask(self, request: bytes, deadline_s: float) -> object:
        """Raises _ChildLostError."""
        try:
            async with asyncio.timeout(deadline_s):
                reply = await self._exchange(request)
        except TimeoutError:
            raise _ChildLostError(f"not done after {deadline_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise _ChildLostError("its process crashed") from None
        if isinstance(reply, Failure) and reply.error == OUT_OF_MEMORY:
            raise _ChildLostError("out of memory")
        return reply

    async def _exchange(self, request: bytes) -> object:
        self.requests.write(LENGTH.pack(len(request)) + request)
        await self.requests.drain()
        (length,) = LENGTH.unpack(await self.replies.readexactly(LENGTH.size))
        return pickle.loads(await self.replies.readexactly(length))  # noqa: S301  # a child of this process

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
