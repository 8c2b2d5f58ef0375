"""Benchmarks print an aligned table and write their figures as JSON."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import report
from tests.benchmarks.program import Output


def test_a_table_is_aligned_and_rounds_floats() -> None:
    table = report.table(["lane", "p50 ms"], [["pipeline", 12.345], ["nothing", 1234.5]])

    assert table.splitlines() == [
        "lane      p50 ms",
        "----------------",
        "pipeline    12.3",
        "nothing     1234",
    ]


def test_the_columns_of_a_printed_table_are_found() -> None:
    printed = report.table(["lane @ concurrency", "p50 ms", "of floor"], [["a", 1, 2]])

    columns = Output(printed, {}).columns("lane @ concurrency")

    assert columns == ["lane @ concurrency", "p50 ms", "of floor"]


def test_a_report_has_the_figures_and_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "REPORTS", tmp_path / "reports")

    path = report.write("bench", {"n": 3})

    written = json.loads(path.read_text(encoding="utf-8"))
    assert path == tmp_path / "reports" / "bench.json"
    assert written["n"] == 3
    assert set(written["machine"]) == {"python", "platform"}
