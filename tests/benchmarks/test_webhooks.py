"""The webhooks' benchmark measures every lane and the figures that have a target."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_lane_is_measured(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.webhooks"],
        cwd=CHECKOUT,
        env=os.environ | {"N": "40", "SLOW": "20", "CONCURRENCY": "8", "REPORTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = json.loads((tmp_path / "webhooks.json").read_text(encoding="utf-8"))
    lanes = ["plain httpx", "delivery", "alone", "with slow partners"]
    assert [each["lane"] for each in written["measurements"]] == lanes
    assert list(written["figures"]) == ["of plain httpx @ 8", "p95 with slow partners / alone"]
