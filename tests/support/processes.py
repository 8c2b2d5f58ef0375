"""Which processes are there: for tests about leaving none behind."""

import time
from pathlib import Path

import psutil

WITHIN_S = 20


def alive(pid: int) -> bool:
    """False for a zombie too, which has ended and only waits for somebody to ask how."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def working_below(directory: Path) -> list[psutil.Process]:
    """Every process whose working directory is `directory` or below it."""
    root = directory.resolve()
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(root) and alive(process.pid)
    ]


def remaining(directory: Path) -> list[psutil.Process]:
    """Those still below `directory` once they had time to go."""
    deadline = time.monotonic() + WITHIN_S
    while (processes := working_below(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return processes
