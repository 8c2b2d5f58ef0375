"""The search benchmark measures both stores, and both find the nearest credentials."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.load
@pytest.mark.timeout(900)
def test_both_stores_are_measured_and_find_the_nearest(weaviate_environment: dict[str, str], tmp_path: Path) -> None:
    del weaviate_environment  # only to skip without Weaviate: the benchmark starts its own server
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.search"],
        cwd=CHECKOUT,
        env=os.environ | {"N": "400", "QUERIES": "30", "TEXTS": "250", "REPORTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    searches = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))["searches"]
    assert [each["store"] for each in searches] == ["weaviate"] * 4 + ["pgvector"] * 4
    assert all(each["recall"] >= 0.95 for each in searches if each["recall"] is not None)
