"""The API's benchmark measures every lane and compares it with its floor."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_lane_is_compared_with_its_floor(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.api"],
        cwd=CHECKOUT,
        env=os.environ | {"N": "40", "CONCURRENCY": "4", "REPORTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    measured = json.loads((tmp_path / "bench-api.json").read_text(encoding="utf-8"))["measurements"]
    compared = {each["lane"]: each["of_floor"] is not None for each in measured}
    ours = dict.fromkeys(("start", "responses", "submit", "status", "result"), True)
    assert compared == ours | {"bare insert": False, "bare read": False}
