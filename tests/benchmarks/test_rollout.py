"""A new build is rolled out under load, and a bad one is rolled back, without a failed or stalled run."""

from pathlib import Path

import pytest

from tests.benchmarks.program import run


@pytest.mark.load
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("watch_s", "kill_every_s"), [("5", "0"), ("15", "20")], ids=["without-kills", "with-kills-of-all-workers"]
)
def test_rollouts_and_a_rollback_under_load_complete_every_run(watch_s: str, kill_every_s: str, tmp_path: Path) -> None:
    found = run("rollout", "rollout", tmp_path, WATCH_S=watch_s, KILL_EVERY_S=kill_every_s).report

    assert found["codes"] == {"first": 0, "broken": 1, "patched": 0}
    assert found["failures"] == []
    assert set(found["runs"]) == {"COMPLETED by microcred:first", "COMPLETED by microcred:patched"}
    assert sum(found["runs"].values()) == found["submitted"]
