"""The capacity calculation reads the benchmarks' reports, and docs/capacity.md has its tables."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.local.settings import CHECKOUT
from tests.benchmarks import capacity
from tests.benchmarks.capacity import DOCUMENTED, PROVIDERS, Provider, figures

MILLION, TEN_THOUSAND = PROVIDERS


def a_lane(name: str, concurrency: int = 16, *, worker: float = 60.0) -> dict[str, Any]:
    cpu_ms = {"worker": worker, "postgres": 30.0, "temporal": 40.0, "api": 5.0}
    sizes = {"rows": 60.0, "database_bytes": 5e4, "wal_bytes": 1e5, "history_events": 50, "history_bytes": 2e4}
    return {"lane": name, "concurrency": concurrency, "cpu_ms_by_process": cpu_ms, "sql_statements": 49.0, **sizes}


BENCH = {"measurements": [a_lane("pipeline", 1, worker=99), a_lane("pipeline"), a_lane("with model", worker=150)]}
API = {
    "measurements": [
        {"lane": name, "concurrency": 16, "cpu_ms": {"api": 2.0, "postgres": 1.0}, "sql_statements": 3.0}
        for name in capacity.REQUESTS
    ]
}
DELIVERIES = {
    "measurements": [
        {
            "lane": "delivery",
            "concurrency": 64,
            "cpu_ms": {"worker": 8.0, "postgres": 4.0, "temporal": 6.0, "partner": 1.0},
            "sql_statements": 7.0,
        }
    ]
}


def test_the_cost_of_the_model_is_the_difference_of_two_lanes_at_the_highest_concurrency() -> None:
    found = capacity.measured(BENCH)

    assert found.cpu_ms == {"Worker": 60.0, "PostgreSQL": 30.0, "Temporal": 40.0, "MiniLM": 90.0}
    assert (found.rows, found.wal_bytes, found.history_bytes) == (60.0, 1e5, 2e4)


def test_a_delivery_adds_to_the_parts_that_it_uses() -> None:
    found = capacity.measured(BENCH, deliveries=DELIVERIES)

    assert found.cpu_ms == {"Worker": 68.0, "PostgreSQL": 34.0, "Temporal": 46.0, "MiniLM": 90.0}
    assert found.sql_statements == 56


def test_requests_add_to_the_database_what_the_pipeline_does_not_include() -> None:
    found = capacity.measured(BENCH, API)

    requests = sum(capacity.REQUESTS.values())
    assert found.cpu_ms["API"] == 2.0 * requests
    assert found.cpu_ms["PostgreSQL"] == 30.0 + requests - 1
    assert found.sql_statements == 49 + 3 * (requests - 1)


def test_each_assessment_has_two_essays_for_the_model() -> None:
    assert capacity.measured(BENCH, runtimes={"essay_ms": {"torch": 60.0}}).minilm_ms == {"torch": 120.0}


def test_a_report_without_a_lane_is_refused() -> None:
    with pytest.raises(ValueError, match="with model"):
        capacity.measured({"measurements": [a_lane("pipeline")]})


def test_cpus_are_busy_for_60_percent_at_five_times_the_average_rate() -> None:
    provider = Provider(per_day=86_400, retention_days=3, search_engine=True)

    assert provider.peak_per_s == 5
    assert provider.vcpu(cpu_ms=120) == pytest.approx(1)


@pytest.mark.parametrize(("transactions", "shards"), [(0.0, 128), (640.0, 128), (641.0, 256), (2_000.0, 512)])
def test_shards_are_a_power_of_two(transactions: float, shards: int) -> None:
    assert capacity.history_shards(transactions) == shards


def test_every_kind_of_process_runs_twice_at_least() -> None:
    found = figures(capacity.measured(BENCH, API), TEN_THOUSAND)

    assert {found[f"{part}, processes"] for part in ("Worker", "MiniLM", "API")} == {2}
    assert found["Temporal's frontend, history, matching"] == "2, 2, 2"


def test_disk_space_grows_with_the_retention_of_closed_runs() -> None:
    longer = replace(MILLION, retention_days=2 * MILLION.retention_days)
    name = "Closed runs of Temporal on disk, GiB"

    assert figures(DOCUMENTED, longer)[name] == 2 * float(figures(DOCUMENTED, MILLION)[name])


def test_a_visibility_store_in_postgres_needs_connections() -> None:
    shared = replace(MILLION, search_engine=False)

    assert figures(DOCUMENTED, shared)["Connections of Temporal"] == 1.5 * float(
        figures(DOCUMENTED, MILLION)["Connections of Temporal"]
    )


def test_numbers_have_three_digits_and_separators() -> None:
    assert capacity.markdown(["Need", "Value"], [["a", 57.87], ["b", 1_234_567.8], ["c", 2.0]]).splitlines() == [
        "| Need | Value |",
        "| --- | ---: |",
        "| a | 57.9 |",
        "| b | 1,234,568 |",
        "| c | 2 |",
    ]


def test_the_documented_tables_follow_from_the_documented_inputs() -> None:
    page = (CHECKOUT / "docs" / "capacity.md").read_text(encoding="utf-8")

    missing = [line for line in capacity.tables(DOCUMENTED).splitlines() if line not in page]

    assert missing == []
