"""How every process that held a Temporal client ends."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO


def run_and_leave(main: Callable[[], int]) -> NoReturn:
    """Runs `main` and leaves with its exit code, or with 1 and a traceback when it raises."""
    code = 1
    try:
        code = main()
    except Exception:  # noqa: BLE001  # whatever it was, the process ends the same safe way
        traceback.print_exc()
    leave(code)


def leave(code: int) -> NoReturn:
    """Ends the process at once with `code`, after everything written has been flushed.

    A process that held a Temporal client sometimes crashes while the interpreter tears down, long after its work is
    done. `os._exit` skips that teardown; `atexit` hooks and open files of the caller are skipped too, so close first.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    os._exit(code)


def _flush(stream: TextIO | None) -> None:
    if stream is None:  # started without it
        return
    with suppress(OSError, ValueError):  # the reader is gone, or it is closed: nobody is left to tell
        stream.flush()
