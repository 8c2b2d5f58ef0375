"""The recommender's benchmark measures every lane."""

from pathlib import Path

import pytest

from tests.benchmarks.program import run


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_lane_is_measured(tmp_path: Path) -> None:
    found = run("recommending", "recommending", tmp_path, N="60", LEARNERS="50", RUNS="3")

    measured = found.report["measurements"]
    assert [each["lane"] for each in measured] == ["uncached", "cached queries", "cached"]
    assert all(each["retrieve_p50_ms"] > 0 and each["blend_p50_ms"] > 0 for each in measured)
    assert all(each["p95_ms"] >= each["p50_ms"] > 0 for each in measured)
    assert (found.report["n"], found.report["learners"], found.report["store"]) == (60, 50, "pgvector")
    assert found.columns("lane") == ["lane", "p50 ms", "p95 ms", "CPU ms", "retrieve p50", "blend p50"]
