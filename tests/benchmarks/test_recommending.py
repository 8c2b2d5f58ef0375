"""The recommender's benchmark measures both lanes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.load
@pytest.mark.timeout(900)
def test_both_lanes_are_measured(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.recommending"],
        cwd=CHECKOUT,
        env=os.environ | {"N": "60", "LEARNERS": "50", "RUNS": "3", "REPORTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    measured = json.loads((tmp_path / "recommending.json").read_text(encoding="utf-8"))["measurements"]
    assert [each["queries"] for each in measured] == ["uncached", "cached"]
    assert all(each["p50_ms"] > 0 for each in measured)
