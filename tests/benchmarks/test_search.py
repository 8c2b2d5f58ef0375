"""The search benchmark measures both stores, and both find the nearest credentials."""

from pathlib import Path

import pytest

from tests.benchmarks.program import run

KINDS = ["vectors only", "hybrid", "vectors only, one skill", "hybrid, one skill"]


@pytest.mark.load
@pytest.mark.timeout(900)
def test_both_stores_are_measured_and_find_the_nearest(weaviate_environment: dict[str, str], tmp_path: Path) -> None:
    del weaviate_environment  # only to skip without Weaviate: the benchmark starts its own server

    found = run("search", "search", tmp_path, N="400", QUERIES="30", TEXTS="250")

    searches = found.report["searches"]
    assert [(each["store"], each["search"]) for each in searches] == [
        (store, kind) for store in ("weaviate", "pgvector") for kind in KINDS
    ]
    recalls = [each["recall"] for each in searches if each["search"].startswith("vectors only")]
    assert min(recalls) >= 0.95
    assert found.report["embedding"]["by_the_step"] > 0
    assert found.columns("store") == ["store", "search", "p50 ms", "p95 ms", "CPU ms", "recall@10"]
