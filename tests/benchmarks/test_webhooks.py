"""The webhooks' benchmark measures every lane and the figures that have a target."""

from pathlib import Path

import pytest

from tests.benchmarks.program import run


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_lane_is_measured(tmp_path: Path) -> None:
    found = run("webhooks", "webhooks", tmp_path, N="40", SLOW="20", CONCURRENCY="8")

    measured = found.report["measurements"]
    assert [each["lane"] for each in measured] == ["plain httpx", "delivery", "alone", "with slow partners"]
    assert all(each["p95_ms"] >= each["p50_ms"] > 0 for each in measured)
    assert list(found.report["figures"]) == ["of plain httpx @ 8", "p95 with slow partners / alone"]
    assert found.columns("figure") == ["figure", "measured", "target"]
    columns = ["lane @ concurrency", "per s", "p50 ms", "p95 ms", "SQL"]
    assert found.columns("lane @ concurrency")[: len(columns)] == columns
