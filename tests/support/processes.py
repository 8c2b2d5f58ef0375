"""Find running processes, for tests that no process is left behind."""

import time
from pathlib import Path

import psutil

WITHIN_S = 20


def alive(pid: int) -> bool:
    """Return whether the process runs. A zombie does not count."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def working_below(directory: Path) -> list[psutil.Process]:
    """Return every process whose working directory is `directory` or below it."""
    root = directory.resolve()
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(root) and alive(process.pid)
    ]


def remaining(directory: Path) -> list[psutil.Process]:
    """Return the processes that are still below `directory` after a grace period."""
    deadline = time.monotonic() + WITHIN_S
    while (processes := working_below(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return processes
