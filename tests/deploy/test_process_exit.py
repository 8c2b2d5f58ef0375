import os
import subprocess
import sys


def run(script: str) -> "subprocess.CompletedProcess[str]":
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run([sys.executable, "-c", script], env=buffered, capture_output=True, text=True, check=False)


def test_everything_written_arrives_and_the_code_is_kept() -> None:
    ended = run(
        "import sys; from workflows.engine.process_exit import leave;"
        "sys.stdout.write('result'); sys.stderr.write('warning'); leave(3)"
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "result", "warning")


def test_the_teardown_of_the_interpreter_is_skipped() -> None:
    ended = run(
        "import atexit, sys; from workflows.engine.process_exit import leave;"
        "atexit.register(lambda: sys.stdout.write('teardown')); leave(0)"
    )

    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_reader_that_is_gone_changes_nothing() -> None:
    ended = run(
        "import os, sys; from workflows.engine.process_exit import leave;"
        "r, w = os.pipe(); os.close(r); os.dup2(w, 1); sys.stdout.write('lost'); leave(0)"
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_program_that_raises_leaves_the_same_way() -> None:
    ended = run(
        "import atexit, sys; from workflows.engine.process_exit import run_and_leave;"
        "atexit.register(lambda: sys.stdout.write('teardown')); run_and_leave(lambda: 1 // 0)"
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "ZeroDivisionError" in ended.stderr
