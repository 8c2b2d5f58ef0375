"""The watchdog of a process's event loop."""

import subprocess
import sys

from workflows.engine.watchdog import EXIT_CODE

PROGRAM = """
import asyncio, time
from workflows.engine.watchdog import watch_event_loop

async def main():
    stop = watch_event_loop(hangs_after_s=1.5, check_every_s=0.05)
    {work}
    stop.set()

asyncio.run(main())
"""


def run(work: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(work=work)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_process_whose_loop_hangs_ends_and_shows_where() -> None:
    ended = run("time.sleep(60)")

    assert ended.returncode == EXIT_CODE
    assert "event_loop_hangs" in ended.stdout + ended.stderr
    assert "in main" in ended.stderr


def test_a_process_whose_loop_waits_goes_on() -> None:
    assert run("await asyncio.sleep(2)").returncode == 0
