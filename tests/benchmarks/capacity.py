"""`make capacity`: compute what providers with 1,000,000 and with 10,000 assessments a day need, as Markdown tables.

The inputs come from the JSON of `make bench`, and from that of `make bench-api`, `make bench-webhooks` and
`python -m tests.benchmarks.runtimes` if it exists. Without that of `make bench`, they are those of docs/capacity.md,
which explains the formulas. TEMPORAL_WAL_KIB is Temporal's WAL per assessment, which no benchmark measures.
"""

import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.benchmarks import report, workload

Report: TypeAlias = Mapping[str, Any]

PEAK: Final = 5
"""The rate of the busiest minutes divided by the average of the day."""
UTILIZATION: Final = 0.6
"""The share of the CPUs that is busy at the peak. The rest is for retries, deployments and the loss of a machine."""
REQUESTS: Final = {"start": 1, "responses": 10, "submit": 1, "status": 5, "result": 1}
"""The API requests of an assessment, by lane of `make bench-api`: each answer is saved on its own."""
DELIVERY_EVENTS: Final = 11
"""The events in the history of a delivery that succeeds at once. Each assessment has one."""
TRANSACTIONS_PER_EVENT: Final = 2 / 3
"""Temporal writes a task of three events (scheduled, started, completed) with two transactions."""
TRANSACTIONS_PER_SHARD: Final = 5
"""Per second, at the peak. A shard does one at a time, about 200 a second: this leaves room for ten times the load."""
TRANSACTIONS_PER_HISTORY_PROCESS: Final = 800
FEWEST_SHARDS: Final = 128
FEWEST_PROCESSES: Final = 2
"""Processes of each kind: the work continues when one stops."""
TEMPORAL_OVERHEAD: Final = 2
"""The disk space of a closed run (history, execution, visibility, indexes), in sizes of its history."""
POOL: Final = 10
"""`DATABASE_POOL_SIZE`. An API process also has a connection that listens."""
TEMPORAL_POOL: Final = 20
TEMPORAL_VISIBILITY_POOL: Final = 10
"""Connections of each process of Temporal: the defaults of SQL_MAX_CONNS and SQL_VIS_MAX_CONNS."""
GIB: Final = 2**30
_PARTS: Final = {"worker": "Worker", "postgres": "PostgreSQL", "temporal": "Temporal"}
_SIZED: Final = ("Worker", "MiniLM", "API")
"""The parts whose processes use one CPU each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Costs per assessment. `cpu_ms` is by part, `minilm_ms` the CPU time of MiniLM by runtime."""

    cpu_ms: Mapping[str, float]
    sql_statements: float
    rows: float
    database_bytes: float
    wal_bytes: float
    history_events: float
    history_bytes: float
    temporal_wal_bytes: float
    minilm_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """`retention_days`: how long Temporal keeps closed runs."""

    per_day: int
    retention_days: int
    search_engine: bool
    """Whether Temporal's visibility store is OpenSearch or Elasticsearch, instead of PostgreSQL."""

    @property
    def peak_per_s(self) -> float:
        return self.per_day / 86_400 * PEAK

    def vcpu(self, cpu_ms: float) -> float:
        return self.peak_per_s * cpu_ms / 1000 / UTILIZATION


PROVIDERS: Final = (
    Provider(per_day=1_000_000, retention_days=3, search_engine=True),
    Provider(per_day=10_000, retention_days=30, search_engine=False),
)


def measured(
    bench: Report,
    api: Report | None = None,
    deliveries: Report | None = None,
    runtimes: Report | None = None,
    temporal_wal_bytes: float = 0.0,
) -> Inputs:
    """Read the inputs from the reports, each at its highest concurrency. Without a report its costs are left out."""
    pipeline, with_model = busiest(bench, "pipeline"), busiest(bench, "with model")
    cpu_ms = defaultdict[str, float](float)
    statements = pipeline["sql_statements"]
    for process, part in _PARTS.items():
        cpu_ms[part] = pipeline["cpu_ms_by_process"][process]
    cpu_ms["MiniLM"] = max(0.0, with_model["cpu_ms_by_process"]["worker"] - cpu_ms["Worker"])
    if deliveries:
        delivery = busiest(deliveries, "delivery")
        statements += delivery["sql_statements"]
        for process, part in _PARTS.items():
            cpu_ms[part] += delivery["cpu_ms"][process]
    for name, count in REQUESTS.items() if api else ():
        request = busiest(api or {}, name)
        cpu_ms["API"] += count * request["cpu_ms"]["api"]
        if name != "submit":  # the measurement of the pipeline includes it
            cpu_ms["PostgreSQL"] += count * request["cpu_ms"]["postgres"]
            statements += count * request["sql_statements"]
    return Inputs(
        cpu_ms=dict(cpu_ms),
        sql_statements=statements,
        temporal_wal_bytes=temporal_wal_bytes,
        minilm_ms={name: ms * workload.ESSAYS for name, ms in (runtimes or {}).get("essay_ms", {}).items()},
        **{name: pipeline[name] for name in ("rows", "database_bytes", "wal_bytes", "history_events", "history_bytes")},
    )


def busiest(report_: Report, lane: str) -> Mapping[str, Any]:
    """Return the measurement of the lane at the highest concurrency."""
    found = [each for each in report_["measurements"] if each["lane"] == lane]
    if not found:
        raise ValueError(f"The report has no lane {lane}")
    highest: Mapping[str, Any] = max(found, key=lambda each: each["concurrency"])
    return highest


def transactions_per_s(inputs: Inputs, provider: Provider) -> float:
    """Return Temporal's database transactions per second at the peak."""
    return provider.peak_per_s * (inputs.history_events + DELIVERY_EVENTS) * TRANSACTIONS_PER_EVENT


def history_shards(transactions: float) -> int:
    """Return the number of shards for the transactions per second: a power of two."""
    shards = FEWEST_SHARDS
    while shards * TRANSACTIONS_PER_SHARD < transactions:
        shards *= 2
    return shards


def figures(inputs: Inputs, provider: Provider) -> dict[str, float | str]:
    """Return the needs of a provider by name."""
    per_day, peak = provider.per_day, provider.peak_per_s
    vcpu = {part: provider.vcpu(ms) for part, ms in inputs.cpu_ms.items()}
    processes = {part: max(FEWEST_PROCESSES, math.ceil(vcpu[part])) for part in _SIZED if part in vcpu}
    transactions = transactions_per_s(inputs, provider)
    history_processes = max(FEWEST_PROCESSES, math.ceil(transactions / TRANSACTIONS_PER_HISTORY_PROCESS))
    kept_runs = per_day * provider.retention_days
    history_bytes = inputs.history_bytes * (1 + DELIVERY_EVENTS / inputs.history_events)
    workers = processes.get("Worker", 0) + processes["MiniLM"] + 2 * FEWEST_PROCESSES  # those of `llm` and `webhooks`
    pool = TEMPORAL_POOL + (0 if provider.search_engine else TEMPORAL_VISIBILITY_POOL)
    return {
        "Assessments per second, average": per_day / 86_400,
        "Assessments per second, peak": peak,
        **{f"{part}, vCPU": cpus for part, cpus in vcpu.items()},
        "Together, vCPU": sum(vcpu.values()),
        **{f"{part}, processes": count for part, count in processes.items()},
        "SQL statements per second, peak": peak * inputs.sql_statements,
        "Rows per day": per_day * inputs.rows,
        "Growth of the database per day, GiB": per_day * inputs.database_bytes / GIB,
        "WAL of the database per day, GiB": per_day * inputs.wal_bytes / GIB,
        "WAL of Temporal's database per day, GiB": per_day * inputs.temporal_wal_bytes / GIB,
        "Closed runs of Temporal on disk, GiB": kept_runs * history_bytes * TEMPORAL_OVERHEAD / GIB,
        "Transactions of Temporal per second, peak": transactions,
        "History shards": history_shards(transactions),
        "Temporal's frontend, history, matching": f"{FEWEST_PROCESSES}, {history_processes}, {FEWEST_PROCESSES}",
        **({"Connections of the API": processes["API"] * (POOL + 1)} if "API" in processes else {}),
        **({"Connections of the workers": workers * POOL} if "Worker" in processes else {}),
        # frontend, matching and internal worker, and history
        "Connections of Temporal": (3 * FEWEST_PROCESSES + history_processes) * pool,
    }


def tables(inputs: Inputs, providers: Sequence[Provider] = PROVIDERS) -> str:
    """Return the inputs and the needs as Markdown."""
    units = {
        "SQL statements": inputs.sql_statements,
        "Rows": inputs.rows,
        "Growth of the database, bytes": inputs.database_bytes,
        "WAL of the database, bytes": inputs.wal_bytes,
        "WAL of Temporal's database, bytes": inputs.temporal_wal_bytes,
        "Events in the history": inputs.history_events,
        "Bytes of the history": inputs.history_bytes,
    }
    given = {f"CPU of {part}, ms": ms for part, ms in inputs.cpu_ms.items()} | units
    needs = [figures(inputs, provider) for provider in providers]
    days = [f"{provider.per_day:,} a day" for provider in providers]
    parts = [
        markdown(["Per assessment", "Value"], [[name, value] for name, value in given.items()]),
        markdown(["Need", *days], [[name, *(each[name] for each in needs)] for name in needs[0]]),
    ]
    if inputs.minilm_ms:
        rows: list[list[float | str]] = [
            [name, ms, *(provider.vcpu(ms) for provider in providers)] for name, ms in sorted(inputs.minilm_ms.items())
        ]
        parts.append(markdown(["MiniLM with", "CPU ms", *(f"vCPU at {each}" for each in days)], rows))
    return "\n\n".join(parts)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[float | str]]) -> str:
    """Format a table; numbers are right-aligned and have about three significant digits."""
    head = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    return "\n".join(head + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows])


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _read(name: str) -> Report | None:
    path = Path(report.REPORTS) / f"{name}.json"
    found: Report | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if found is None:
        sys.stderr.write(f"{path} does not exist: its inputs are left out\n")
    return found


def main() -> None:
    wal = float(os.environ.get("TEMPORAL_WAL_KIB", DOCUMENTED.temporal_wal_bytes / 1024)) * 1024
    if bench := _read("bench"):
        inputs = measured(bench, _read("bench-api"), _read("webhooks"), _read("runtimes"), temporal_wal_bytes=wal)
    else:
        inputs = replace(DOCUMENTED, temporal_wal_bytes=wal)
    report.say(tables(inputs))


DOCUMENTED: Final = Inputs(
    cpu_ms={"Worker": 126, "PostgreSQL": 71.7, "Temporal": 150, "MiniLM": 325, "API": 90.9},
    sql_statements=68.3,
    rows=148,
    database_bytes=129_707,
    wal_bytes=169_748,
    history_events=33,
    history_bytes=8_177,
    temporal_wal_bytes=305 * GIB / 1_000_000,
    minilm_ms={"torch": 269, "onnx": 231, "onnx-int8": 188},
)
"""The inputs of docs/capacity.md, which says where each was measured."""

if __name__ == "__main__":
    main()
