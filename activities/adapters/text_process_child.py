"""The program of a child process that analyses texts.

It reads requests from standard input and writes one reply per request: a length, then a pickle. It exits when its input
ends, which also happens when the parent dies.
"""

import os
import pickle
import resource
import signal
import struct
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import domain.grading.model_grading  # noqa: F401  # imported at the start, so that the first request is fast

LENGTH: Final = struct.Struct("!Q")
OUT_OF_MEMORY: Final = "MemoryError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The class of an exception and where it was raised, without its message, which may contain part of the essay."""

    error: str
    where: str


Request: TypeAlias = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]


def main(seconds: int, most_bytes: int) -> None:
    """Serve requests. The kernel enforces the limits of time and memory, so no code in a request can evade them."""
    requests, replies = _private_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to stop: it may still wait for a reply
    with suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    while header := requests.read(LENGTH.size):
        (length,) = LENGTH.unpack(header)
        signal.alarm(seconds)  # by default SIGALRM kills the process
        reply = _reply(requests.read(length))
        signal.alarm(0)
        replies.write(LENGTH.pack(len(reply)) + reply)
        replies.flush()


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take over standard input and output, so that only this program uses them; prints go to standard error."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


def _reply(request: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(request)  # noqa: S301  # the parent wrote it
        return pickle.dumps(function(*args, **kwargs))
    except Exception as error:  # noqa: BLE001  # the parent handles every failure
        return pickle.dumps(_failure(error))


def _failure(error: Exception) -> Failure:
    *_, last = traceback.extract_tb(error.__traceback__)
    return Failure(error=type(error).__name__, where=f"{Path(last.filename).name}:{last.lineno} {last.name}")
