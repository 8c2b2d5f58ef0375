"""The pipeline's benchmark measures every lane at each concurrency."""

from pathlib import Path

import pytest

from tests.benchmarks.bench import SIZES
from tests.benchmarks.program import run

LANES = ("nothing", "pipeline", "with model", "by API", "API hangs", "API down")


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_lane_is_measured_at_each_concurrency(tmp_path: Path) -> None:
    found = run("bench", "bench", tmp_path, N="16", CONCURRENCY="1,16")

    measured = found.report["measurements"]
    assert [(each["lane"], each["concurrency"]) for each in measured] == [
        (lane, concurrency) for lane in LANES for concurrency in (1, 16)
    ]
    assert all(each["history_events"] and each["history_bytes"] and each["cpu_ms"] > 0 for each in measured)
    assert set(found.report["peak_mb"]) == {*LANES, "by API, slow"}
    columns = ["lane @ concurrency", "p50 ms", "x floor", "p95 ms", "per s", "of floor", "CPU ms", "x floor"]
    assert found.columns("lane @ concurrency") == columns
    assert found.columns("per assessment")[-6:] == list(SIZES)
    growing = [each for each in measured if each["lane"] != "nothing"]
    assert all(each["rows"] > 1 and each["database_bytes"] > 0 and each["wal_bytes"] > 0 for each in growing)
