"""A new build is rolled out under load, and a bad one is rolled back, without a failed or stalled run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.load
@pytest.mark.timeout(900)
def test_rollouts_and_a_rollback_under_load_complete_every_run(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.rollout"],
        cwd=CHECKOUT,
        env=os.environ | {"WATCH_S": "5", "REPORTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads((tmp_path / "rollout.json").read_text(encoding="utf-8"))
    assert found["codes"] == {"first": 0, "broken": 1, "patched": 0}
    assert found["failures"] == []
    assert set(found["runs"]) == {"COMPLETED by microcred:first", "COMPLETED by microcred:patched"}
    assert sum(found["runs"].values()) == found["submitted"]
