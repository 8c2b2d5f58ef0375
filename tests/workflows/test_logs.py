"""Every line of a process's log is JSON, and none quotes what an exception had at hand."""

import json
import subprocess
import sys

from deploy.local.settings import CHECKOUT

PROGRAM = """
import logging, structlog
from workflows.logs import configure_logging

configure_logging("test")
structlog.get_logger().info("ours", assessment_id="1")
try:
    raise ValueError("MARKER")
except ValueError:
    logging.getLogger("theirs").exception("failed")
"""


def test_libraries_lines_are_json_and_keep_only_the_place_of_an_error() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    ours, theirs = (json.loads(line) for line in ran.stderr.splitlines())
    assert (ours["event"], ours["service"], ours["assessment_id"]) == ("ours", "test", "1")
    assert (theirs["event"], theirs["service"], theirs["error"]) == ("failed", "test", "ValueError")
    assert "MARKER" not in ran.stderr
