"""The comparison of a large database with a small one measures the pipeline, each list and each sweep."""

from pathlib import Path

import pytest

from domain.sweeps import Concern
from tests.benchmarks.program import run
from tests.benchmarks.scale import LISTS, Compared


@pytest.mark.parametrize(
    ("name", "large", "slower"), [("list: users", 12.0, False), ("list: users", 12.1, True), ("nothing @ 1", 99, False)]
)
def test_a_time_may_grow_by_a_fifth_and_the_floor_has_no_limit(name: str, large: float, *, slower: bool) -> None:
    assert Compared(name, 10.0, large).is_slower is slower


@pytest.mark.load
@pytest.mark.timeout(900)
def test_every_part_is_measured_on_both_databases(tmp_path: Path) -> None:
    found = run("scale", "bench-scale", tmp_path, OPEN="400", FINISHED="4000", N="16", CONCURRENCY="4", REQUESTS="3")

    measured = {each["name"] for each in found.report["rows"]}
    assert measured == {
        *("nothing @ 4", "pipeline @ 4", "pipeline @ 4, CPU", "gauges of waiting work"),
        *(f"list: {name}" for name in LISTS),
        *(f"sweep: {concern}" for concern in Concern),
    }
    assert all(each["ratio"] > 0 for each in found.report["rows"])
    assert found.columns("ms") == ["ms", "small", "large", "ratio", "above 1.2"]
