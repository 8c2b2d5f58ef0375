"""The end of one program of the stack."""

import os
import signal
from pathlib import Path

import pytest

from deploy.local import process
from deploy.local.process import Process, Program, ProgramFailedError


def test_a_program_that_outlives_sigkill_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a hanging disk or device delays SIGKILL, so the signal is withheld here."""
    program = Program(
        name="worker",
        command=("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"),
        log=tmp_path / "worker.log",
        env=dict(os.environ),
        cwd=tmp_path,
    )
    running = Process(program)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(process, "KILL_WAIT_S", 0.1)
            patched.setattr(os, "killpg", lambda *_: None)
            patched.setattr(running._popen, "send_signal", lambda *_: None)  # the trap may not be set yet

            with pytest.raises(ProgramFailedError, match="worker still runs 0 s after SIGKILL"):
                running.stop(grace_s=0)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.stop(grace_s=0)
