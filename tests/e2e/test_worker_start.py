"""A worker process that starts before its servers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_S = 60


def test_a_worker_waits_for_temporal_and_stops_at_once_on_sigterm(tmp_path: Path) -> None:
    environment = os.environ | {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        "MICROCRED_ENV": "development",
    }
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "worker.py", "--queues", "webhooks"], env=environment, stdout=output, stderr=output
        )
    try:
        _wait_for(log, b"engine_unavailable", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        process.kill()
    assert b"Traceback" not in log.read_bytes()


def _wait_for(log: Path, event: bytes, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while event not in log.read_bytes():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
