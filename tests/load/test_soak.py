"""The stack runs at 80 % of its capacity for 20 minutes (SOAK_MINUTES) without growing."""

import os
from pathlib import Path

import pytest

from tests.benchmarks.program import run

MINUTES = float(os.environ.get("SOAK_MINUTES", "20"))


@pytest.mark.load
@pytest.mark.timeout(MINUTES * 60 + 900)
def test_nothing_grows_near_the_capacity(tmp_path: Path) -> None:
    found = run("soak", "soak", tmp_path, "--minutes", str(MINUTES), package="tests.load")

    assert found.report["completed"] > 0
    assert found.report["failures"] == []
    assert found.columns("value") == ["value", "first third", "last third", "ratio", "growth"]
