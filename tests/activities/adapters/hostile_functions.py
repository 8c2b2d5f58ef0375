"""Functions that fail as an analysis of a hostile text can. A child process imports them by name."""

import os
import re
import signal
import time


def length_of(text: str) -> int:
    return len(text)


def crash(_: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def crash_once(marker: str) -> str:
    """Crash unless the file `marker` exists."""
    try:
        with open(marker, "x"):  # noqa: PTH123  # exclusive creation
            pass
    except FileExistsError:
        return "done"
    os._exit(1)


def backtrack(text: str) -> bool:
    """Hold the interpreter lock forever when the text does not match."""
    return re.match(r"(a+)+$", text) is not None


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def take_memory(number: int) -> int:
    return len(b"x" * number)


def fail(text: str) -> None:
    raise ValueError(text)


def process_id() -> int:
    return os.getpid()


def process_id_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def environment() -> dict[str, str]:
    return dict(os.environ)


def write_to_stdout(text: str) -> str:
    print(text, flush=True)  # noqa: T201  # the point of this function
    return text
