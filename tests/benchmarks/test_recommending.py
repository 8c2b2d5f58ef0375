"""The recommender's benchmark measures both lanes."""

from pathlib import Path

import pytest

from tests.benchmarks.program import run


@pytest.mark.load
@pytest.mark.timeout(900)
def test_both_lanes_are_measured(tmp_path: Path) -> None:
    found = run("recommending", "recommending", tmp_path, N="60", LEARNERS="50", RUNS="3")

    measured = found.report["measurements"]
    assert [each["queries"] for each in measured] == ["uncached", "cached"]
    assert all(each["retrieve_p50_ms"] > 0 and each["blend_p50_ms"] > 0 for each in measured)
    assert all(each["p95_ms"] >= each["p50_ms"] > 0 for each in measured)
    assert (found.report["n"], found.report["learners"], found.report["store"]) == (60, 50, "pgvector")
    assert found.columns("queries") == ["queries", "p50 ms", "p95 ms", "CPU ms", "retrieve p50", "blend p50"]
