"""Every log line is JSON, and none contains the message of an exception."""

import json
import subprocess
import sys

from deploy.local.settings import CHECKOUT

PROGRAM = """
import logging, structlog
from workflows.telemetry.logs import configure_logging

configure_logging("test")
structlog.get_logger("api.app").info("ours", assessment_id="1", answer="MARKER", said="mail MARKER@demo.example")
try:
    raise ValueError("MARKER")
except ValueError:
    logging.getLogger("theirs").exception("failed", extra={"temporal_activity": {"workflow_id": "assessment-1"}})
"""


def test_lines_of_libraries_are_json_with_only_the_location_of_an_error() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    ours, theirs = (json.loads(line) for line in ran.stderr.splitlines())
    assert (ours["event"], ours["service"], ours["component"], ours["assessment_id"]) == (
        "ours",
        "test",
        "api.app",
        "1",
    )
    assert (theirs["event"], theirs["service"], theirs["error"]) == ("failed", "test", "ValueError")
    assert (theirs["component"], theirs["workflow_id"]) == ("theirs", "assessment-1")
    assert "MARKER" not in ran.stderr
