"""The API's benchmark measures every lane and compares it with its floor."""

from pathlib import Path

import pytest

from tests.benchmarks.program import run


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_lane_is_compared_with_its_floor(tmp_path: Path) -> None:
    found = run("api", "bench-api", tmp_path, N="40", CONCURRENCY="4")

    compared = {each["lane"]: each["of_floor"] is not None for each in found.report["measurements"]}
    ours = dict.fromkeys(("start", "responses", "submit", "status", "result"), True)
    assert compared == ours | {"bare insert": False, "bare read": False}
    assert all(each["p95_ms"] >= each["p50_ms"] > 0 for each in found.report["measurements"])
    assert found.report["targets"] == {"bare read": 0.6, "bare insert": 0.5}
    columns = ["lane @ concurrency", "per s", "of floor", "target", "p50 ms", "p95 ms", "SQL"]
    assert found.columns("lane @ concurrency")[: len(columns)] == columns
