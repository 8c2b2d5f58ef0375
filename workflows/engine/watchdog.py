"""End a process whose event loop hangs, so that its platform starts another one."""

import asyncio
import faulthandler
import os
import sys
import threading
from typing import Final

import structlog

log = structlog.get_logger(__name__)

HANGS_AFTER_S: Final = 120.0
"""Longer than any work that may hold the interpreter lock, such as the loading of a model."""
CHECK_EVERY_S: Final = 10.0
EXIT_CODE: Final = 70
"""EX_SOFTWARE of sysexits.h."""


def watch_event_loop(hangs_after_s: float = HANGS_AFTER_S, check_every_s: float = CHECK_EVERY_S) -> threading.Event:
    """Start a thread that ends the process when the running event loop executes nothing for `hangs_after_s`.

    The port of the metrics is served by another thread, so it answers even if the loop hangs, and Temporal gives the
    tasks of such a process to others only after their timeouts. The thread prints where each thread is, without any
    values.

    Returns:
        An event that stops the thread.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()
    thread = threading.Thread(
        target=_watch, args=(loop, stop, hangs_after_s, check_every_s), name="watchdog", daemon=True
    )
    thread.start()
    return stop


def _watch(loop: asyncio.AbstractEventLoop, stop: threading.Event, hangs_after_s: float, check_every_s: float) -> None:
    while not stop.wait(check_every_s):
        ran = threading.Event()
        try:
            loop.call_soon_threadsafe(ran.set)
        except RuntimeError:  # the loop is closed
            return
        if not ran.wait(hangs_after_s) and not stop.is_set():
            log.critical("event_loop_hangs", seconds=hangs_after_s)
            faulthandler.dump_traceback(sys.stderr, all_threads=True)
            os._exit(EXIT_CODE)
