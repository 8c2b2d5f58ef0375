"""`make bench-webhooks`: compare deliveries with plain `httpx` requests through Temporal, also with slow partners.

First N deliveries (1,000) to a partner that responds after 20 ms, and as many plain requests, on the same servers in
one run, at each CONCURRENCY. Then N deliveries to that partner alone, and again while SLOW events (200) each wait for a
partner that never responds and for one that sends one byte per second. Latency is measured from a run's start to its
end.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from pydantic_core import to_json
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import ProgramFailedError, last_lines, run_to_end
from deploy.local.temporal import TemporalDevServer
from domain.webhooks.deliveries import Delivery
from persistence.repositories.events import delivery_row
from tests.benchmarks import report
from tests.benchmarks.plain_httpx import QUEUE, PlainWorkflow, Post
from tests.benchmarks.servers import READY_WITHIN_S, Servers
from tests.support.partners import CIPHER, a_secret
from workflows.engine import search_attributes
from workflows.engine.client import connect
from workflows.engine.delivery_runs import TemporalDeliveryRuns
from workflows.engine.process_exit import run_and_leave
from workflows.webhook_delivery import workflow_id

N = int(os.environ.get("N", "1000"))
SLOW = int(os.environ.get("SLOW", "200"))
CONCURRENCY = [int(each) for each in os.environ.get("CONCURRENCY", "16,64").split(",")]
ENDPOINTS = {"ok": uuid4(), "hang": uuid4(), "drip": uuid4()}
ORGANIZATION = uuid4()
AMONG = 8
"""The number of concurrent deliveries to the fast partner in the last two lanes."""

Run = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures of a lane. Statements and CPU milliseconds are per run, of the servers and the lane's worker."""

    lane: str
    concurrency: int
    per_second: float
    p50_ms: float
    p95_ms: float
    sql_statements: float
    cpu_ms: dict[str, float]


@contextmanager
def servers(directory: Path) -> Iterator[tuple[Servers, str]]:
    """Start and migrate the servers, insert the endpoints, and yield the servers and the partners' address."""
    temporal = TemporalDevServer(directory / "runs.db", free_port(), None, log=directory / "temporal.log")
    postgres = EmbeddedPostgres(directory / "postgres", free_port())
    with postgres, _connected(postgres.url) as connection:
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    with postgres, temporal:
        environment = dict(os.environ) | {
            "MICROCRED_ENV": "development",
            "DATABASE_URL": postgres.url,
            "TEMPORAL_ADDRESS": temporal.address,
            "WEBHOOK_ALLOW_LOOPBACK": "true",
        }
        os.environ.update(environment)
        shared = Servers(postgres, temporal, directory, environment, {})
        if postgres.process and temporal.process:
            shared.processes |= {"postgres": postgres.process, "temporal": temporal.process}
        run_to_end(shared.program("migrations", "-m", "persistence.migrate"), timeout_s=READY_WITHIN_S)
        port = free_port()
        with shared.running("partner", "-m", "tests.benchmarks.partner", str(port), ready="serving"):
            address = f"http://127.0.0.1:{port}"
            _register(postgres.url, address)
            yield shared, address


def _connected(url: str) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def _register(database_url: str, address: str) -> None:
    with _connected(database_url) as connection:
        connection.execute("INSERT INTO organizations (id, name) VALUES (%s, 'bench')", [ORGANIZATION])
        for name, endpoint_id in ENDPOINTS.items():
            connection.execute(
                "INSERT INTO webhook_endpoints (id, organization_id, url, event_types, secret)"
                " VALUES (%s, %s, %s, '{assessment.completed}', %s)",
                [endpoint_id, ORGANIZATION, f"{address}/{name}", CIPHER.encrypt(a_secret())],
            )


def add_deliveries(database_url: str, endpoint: str, count: int) -> list[Delivery]:
    """Insert pending deliveries of new events, as a publication does."""
    rows = [delivery_row(ORGANIZATION, uuid4(), ENDPOINTS[endpoint]) for _ in range(count)]
    with _connected(database_url) as connection, connection.cursor() as cursor, connection.transaction():
        cursor.executemany(
            "INSERT INTO webhook_events (id, organization_id, event_type, payload, body, status)"
            " VALUES (%s, %s, 'assessment.completed', '{}', %s, 'pending')",
            [(row["event_id"], ORGANIZATION, _body(row["event_id"])) for row in rows],
        )
        cursor.executemany(
            "INSERT INTO webhook_deliveries (id, organization_id, event_id, endpoint_id, n, status)"
            " VALUES (%(id)s, %(organization_id)s, %(event_id)s, %(endpoint_id)s, %(n)s, %(status)s)",
            rows,
        )
    names = ("id", "organization_id", "event_id", "endpoint_id", "n")
    return [Delivery(**{name: row[name] for name in names}) for row in rows]


def _body(event_id: UUID) -> bytes:
    """Return a body as large as a real event's."""
    return to_json({"version": 1, "type": "assessment.completed", "event": event_id, "data": {"padding": "x" * 400}})


def plain(client: Client, address: str, count: int) -> list[Run]:
    body = _body(uuid4()).decode()

    async def run() -> None:
        post = Post(url=f"{address}/ok", body=body)
        assert await client.execute_workflow(PlainWorkflow.run, post, id=f"plain-{uuid4()}", task_queue=QUEUE) == 200

    return [run] * count


def deliveries(client: Client, shared: Servers, count: int) -> list[Run]:
    runs = TemporalDeliveryRuns(client, deadline_s=READY_WITHIN_S)

    def prepared(delivery: Delivery) -> Run:
        async def run() -> None:
            await runs.start(delivery)
            await client.get_workflow_handle(workflow_id(delivery)).result()

        return run

    return [prepared(delivery) for delivery in add_deliveries(shared.postgres.url, "ok", count)]


async def measure(lane: str, concurrency: int, runs: Sequence[Run], shared: Servers) -> Measurement:
    slots = asyncio.Semaphore(concurrency)
    latencies_ms: list[float] = []

    async def one(run: Run) -> None:
        async with slots:
            started = time.perf_counter()
            await run()
            latencies_ms.append((time.perf_counter() - started) * 1000)

    statements, cpu, started = shared.statements(), shared.cpu_s(), time.perf_counter()
    await asyncio.gather(*(one(run) for run in runs))
    seconds = time.perf_counter() - started
    found = Measurement(
        lane=lane,
        concurrency=concurrency,
        per_second=len(runs) / seconds,
        p50_ms=statistics.median(latencies_ms),
        p95_ms=statistics.quantiles(latencies_ms, n=20)[-1],
        sql_statements=(shared.statements() - statements) / len(runs),
        cpu_ms={name: (now - cpu[name]) * 1000 / len(runs) for name, now in shared.cpu_s().items()},
    )
    report.say(f"  {lane}, {concurrency} at a time: {found.per_second:.0f} a second, p95 {found.p95_ms:.0f} ms")
    return found


async def bench(shared: Servers, address: str) -> list[Measurement]:
    client = await connect()
    await search_attributes.register(client)  # a worker of the other queue does this otherwise
    found: list[Measurement] = []
    with (
        shared.running("plain", "-m", "tests.benchmarks.plain_httpx", ready="serving"),
        shared.running("worker", "worker.py", "--queues", "webhooks", ready="worker_ready"),
    ):
        for runs in (plain(client, address, 50), deliveries(client, shared, 50)):
            await asyncio.gather(*(run() for run in runs))  # warm up
        for each in CONCURRENCY:
            found.append(await measure("plain httpx", each, plain(client, address, N), shared))
            found.append(await measure("delivery", each, deliveries(client, shared, N), shared))
        found.append(await measure("alone", AMONG, deliveries(client, shared, N), shared))
        await _overwhelm(client, shared)
        found.append(await measure("with slow partners", AMONG, deliveries(client, shared, N), shared))
    return found


async def _overwhelm(client: Client, shared: Servers) -> None:
    """Start the events of the two slow partners. Return when each was tried."""
    runs = TemporalDeliveryRuns(client, deadline_s=READY_WITHIN_S)
    slow = [each for name in ("hang", "drip") for each in add_deliveries(shared.postgres.url, name, SLOW)]
    for delivery in slow:
        await runs.start(delivery)

    async def tried(delivery: Delivery) -> bool:
        described = await client.get_workflow_handle(workflow_id(delivery)).describe()
        pending = described.raw_description.pending_activities
        begun = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        return any(each.state == begun or each.attempt > 1 for each in pending)

    for delivery in slow:
        while not await tried(delivery):  # noqa: ASYNC110  # there is no notification
            await asyncio.sleep(0.1)


def show(found: Sequence[Measurement]) -> dict[str, float]:
    """Print the tables and return the figures that have a target."""
    by = {(each.lane, each.concurrency): each for each in found}
    processes = sorted(found[0].cpu_ms)
    columns = ["lane @ concurrency", "per s", "p50 ms", "p95 ms", "SQL", *(f"{name} CPU ms" for name in processes)]
    rows = [
        [
            f"{each.lane} @ {each.concurrency}",
            *(each.per_second, each.p50_ms, each.p95_ms, each.sql_statements),
            *(each.cpu_ms[name] for name in processes),
        ]
        for each in found
    ]
    report.say("\n" + report.table(columns, rows))
    figures = {
        f"of plain httpx @ {each}": by["delivery", each].per_second / by["plain httpx", each].per_second
        for each in CONCURRENCY
    }
    figures["p95 with slow partners / alone"] = by["with slow partners", AMONG].p95_ms / by["alone", AMONG].p95_ms
    targets = {name: "at most 1.5" if "p95" in name else "at least 0.6" for name in figures}
    rows = [[name, value, targets[name]] for name, value in figures.items()]
    report.say("\n" + report.table(["figure", "measured", "target"], rows))
    return figures


def main() -> int:
    report.say(f"bench-webhooks: {N} deliveries a measurement, concurrency {CONCURRENCY}, {SLOW} events a slow partner")
    with (
        tempfile.TemporaryDirectory(prefix="microcred-bench-") as directory,
        servers(Path(directory)) as (own, address),
    ):
        try:
            found = asyncio.run(bench(own, address))
        except ProgramFailedError as error:
            report.say("\n".join([str(error), *last_lines(error.log)]))
            return 1
    figures = show(found)
    document = {"n": N, "slow": SLOW, "measurements": [asdict(each) for each in found], "figures": figures}
    report.say(f"\nWritten to {report.write('webhooks', document)}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
