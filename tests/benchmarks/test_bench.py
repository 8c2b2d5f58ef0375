"""The pipeline's benchmark measures every lane at each concurrency."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_lane_is_measured_at_each_concurrency(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench"],
        cwd=CHECKOUT,
        env=os.environ | {"N": "16", "CONCURRENCY": "1,16", "REPORTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    measured = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["measurements"]
    assert [(each["lane"], each["concurrency"]) for each in measured] == [
        (lane, concurrency)
        for lane in ("nothing", "pipeline", "with model", "by API", "API hangs", "API away")
        for concurrency in (1, 16)
    ]
    assert all(each["history_events"] for each in measured)
