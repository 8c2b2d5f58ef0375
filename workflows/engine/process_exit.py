"""Exit of every process that has used a Temporal client."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO


def run_and_leave(main: Callable[[], int]) -> NoReturn:
    """Run `main` and exit with its exit code, or with 1 and a traceback if it raises."""
    code = 1
    try:
        code = main()
    except Exception:  # noqa: BLE001  # the process exits the same safe way after any error
        traceback.print_exc()
    leave(code)


def leave(code: int) -> NoReturn:
    """Flush logs and standard streams, then exit with `code` at once.

    A process that has used a Temporal client sometimes crashes during the interpreter's teardown. `os._exit` skips the
    teardown. It also skips `atexit` hooks and does not flush open files, so the caller must close them first.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    os._exit(code)


def _flush(stream: TextIO | None) -> None:
    if stream is None:  # the process was started without it
        return
    with suppress(OSError, ValueError):  # the stream is closed, or its reader has exited
        stream.flush()
