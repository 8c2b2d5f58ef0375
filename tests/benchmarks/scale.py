"""`make bench-scale`: compare the pipeline, lists and sweeps on a large database with the same on a small one.

Both are measured in one run on the same servers: first with SMALL assessments, so that every list fills a page, then
with OPEN (100,000) assessments in progress and FINISHED (1,000,000) others, all of one organization. No time should be
more than 1.2 times as long. The do-nothing workflow does not use the database: its ratio shows how much the machine
itself has changed. N and CONCURRENCY are those of `make bench`, REQUESTS (100) is the number of requests of each kind.
The full size needs about 15 GB of disk space.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import UUID

import httpx
import psycopg
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.reconcile import Reconcile, SweepInput
from api.security.tokens import Principal, Tokens, UserRole
from deploy.local.process import ProgramFailedError, last_lines
from domain.sweeps import Concern
from persistence.database import create_engine
from persistence.unit_of_work import SqlDatabase
from tests.benchmarks import report, workload
from tests.benchmarks.bench import CONCURRENCY, Assessments, Measurement, N, measure, prepare_nothing
from tests.benchmarks.crowd import ADMIN, ADVISOR, ORGANIZATION, add_crowd
from tests.benchmarks.servers import MODELLESS, SECRET, Servers, servers, until_ready
from tests.support.databases import settings_of
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
    RecordingRuns,
)
from workflows.engine.client import connect
from workflows.engine.process_exit import run_and_leave

OPEN: Final = int(os.environ.get("OPEN", "100000"))
FINISHED: Final = int(os.environ.get("FINISHED", "1000000"))
REQUESTS: Final = int(os.environ.get("REQUESTS", "100"))
SMALL: Final = {"opened": 100, "finished": 1000}
PAGE: Final = 10
MOST: Final = 1.2
FLOOR: Final = "nothing"

Times: TypeAlias = dict[str, float]
"""Milliseconds by name."""
Call: TypeAlias = Callable[[], Awaitable[None]]

_ASSESSMENTS: Final = (
    "",
    "status=in_progress",
    "status=completed",
    "status=failed",
    "degraded=true",
    "needs_review=true",
    f"role_id={workload.ROLE_ID}",
    "q=Learner",
)
LISTS: Final[dict[str, tuple[UserRole, str]]] = {
    **{f"assessments {each}".strip(): (UserRole.ADVISOR, f"/assessments?{each}") for each in _ASSESSMENTS},
    "own assessments": (UserRole.STUDENT, "/assessments"),
    "review queue": (UserRole.ADVISOR, "/reviews/queue"),
    "users": (UserRole.ADMIN, "/users"),
    "users q=Learner": (UserRole.ADMIN, "/users?q=Learner"),
    "deliveries": (UserRole.ADMIN, "/webhooks/deliveries"),
    "audit trail": (UserRole.ADMIN, "/audit-logs"),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A time in ms on the small and on the large database."""

    name: str
    small: float
    large: float

    @property
    def ratio(self) -> float:
        return self.large / self.small

    @property
    def is_slower(self) -> bool:
        return self.ratio > MOST and not self.name.startswith(FLOOR)


def compare(small: Times, large: Times) -> list[Compared]:
    return [Compared(name, small[name], large[name]) for name in small]


@dataclass(frozen=True, slots=True)
class Measured:
    """The times on one database, and all figures of its pipeline, which include the bytes of WAL per assessment."""

    times: Times
    pipeline: list[Measurement]


async def measured(shared: Servers) -> Measured:
    client = await connect()
    found: Times = {}
    with shared.running(FLOOR, "-m", "tests.benchmarks.nothing", ready="serving"):
        for each in CONCURRENCY:
            floor = await measure(FLOOR, each, partial(prepare_nothing, client, N), shared, client)
            found[f"{FLOOR} @ {each}"] = floor.p50_ms
    with shared.running("api", "-m", "api"):
        await until_ready(shared.environment["API_URL"])
        with shared.running("worker", *MODELLESS, ready="worker_ready"):
            lanes = await pipeline(shared, client)
        for lane in lanes:
            name = f"{lane.lane} @ {lane.concurrency}"
            found |= {name: lane.p50_ms, f"{name}, CPU": lane.cpu_ms}
        found |= await lists(shared)
    return Measured(found | await sweeps(shared.postgres.url), lanes)


async def pipeline(shared: Servers, client: Client) -> list[Measurement]:
    """Measure assessments of the large organization's students."""
    assessments = Assessments(shared, client, ORGANIZATION)
    await asyncio.gather(*(run() for run in await assessments.prepare(8)))  # warm up
    found = [await measure("pipeline", each, partial(assessments.prepare, N), shared, client) for each in CONCURRENCY]
    for lane in found:
        figures = f"{lane.p50_ms:.0f} ms, {lane.cpu_ms:.0f} ms CPU, {lane.wal_bytes:.0f} bytes of WAL"
        report.say(f"  pipeline, {lane.concurrency} at a time: {figures}")
    return found


async def lists(shared: Servers) -> Times:
    """Measure a page of each list over HTTP, with one request at a time."""
    tokens = Tokens(SecretStr(SECRET), timedelta(hours=1))
    with psycopg.connect(shared.postgres.url.replace("+psycopg", "")) as connection:
        student = connection.execute(
            "SELECT user_id FROM assessments WHERE organization_id = %s AND submitted_at IS NOT NULL"
            " GROUP BY user_id HAVING count(*) > %s LIMIT 1",
            [ORGANIZATION, PAGE],
        ).fetchone()
    assert student
    users: dict[UserRole, UUID] = {
        UserRole.STUDENT: student[0],
        UserRole.ADVISOR: ADVISOR,
        UserRole.ADMIN: ADMIN,
    }
    url = shared.environment["API_URL"]
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:

        def page(role: UserRole, path: str) -> Call:
            principal = Principal(user_id=users[role], role=role, organization_id=ORGANIZATION, version=0)
            headers = {"Authorization": f"Bearer {tokens.issue(principal)}"}
            wanted = httpx.URL(f"/api/v1{path}").copy_merge_params({"limit": PAGE})

            async def read() -> None:
                body = (await http.get(wanted, headers=headers)).raise_for_status().json()
                assert len(body["items"]) == PAGE, f"{path} has {len(body['items'])} rows"

            return read

        async def work() -> None:
            (await http.get("/metrics/work")).raise_for_status()

        calls = {f"list: {name}": page(*each) for name, each in LISTS.items()} | {"gauges of waiting work": work}
        return await medians(calls)


async def sweeps(url: str) -> Times:
    """Measure a sweep of each concern that finds nothing to start. The calls to the engine are recorded only."""
    engine = create_engine(settings_of(url))
    reconcile = Reconcile(
        SqlDatabase(engine),
        RecordingRuns(),
        RecordingDeliveries(),
        RecordingErasures(),
        RecordingCatalogRuns(),
        RecordingAppeals(),
        RecordingRescores(),
        RecordingLinkMails(),
    )

    def sweep(concern: Concern) -> Call:
        async def one() -> None:
            await ActivityEnvironment().run(reconcile.reconcile, SweepInput(concern=concern))

        return one

    try:
        return await medians({f"sweep: {concern}": sweep(concern) for concern in Concern})
    finally:
        await engine.dispose()


async def medians(calls: dict[str, Call]) -> Times:
    """Return the median time of each call. The calls take turns, so that other load on the machine affects them all."""
    took = defaultdict[str, list[float]](list)
    for number in range(-1, REQUESTS):
        for name, call in calls.items():
            started = time.perf_counter()
            await call()
            if number >= 0:  # the first round warms up
                took[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(times) for name, times in took.items()}


def show(found: Sequence[Compared]) -> None:
    rows = [[each.name, each.small, each.large, each.ratio, "slower" if each.is_slower else ""] for each in found]
    report.say("\n" + report.table(["ms", "small", "large", "ratio", f"above {MOST}"], rows))


def fill(shared: Servers, **sizes: int) -> None:
    started = time.perf_counter()
    add_crowd(shared.postgres.url, **sizes)
    report.say(f"Filled with {sizes} in {time.perf_counter() - started:.0f} s")


def main() -> int:
    report.say(f"bench-scale: {OPEN} open and {FINISHED} finished assessments, {N} a measurement, {REQUESTS} requests")
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="microcred-scale-")))
        shared = running.enter_context(servers(directory))
        try:
            fill(shared, **SMALL)
            small = asyncio.run(measured(shared))
            fill(shared, opened=OPEN, finished=FINISHED)
            large = asyncio.run(measured(shared))
        except ProgramFailedError as error:
            report.say("\n".join([str(error), *last_lines(error.log)]))
            return 1
    found = compare(small.times, large.times)
    show(found)
    document: dict[str, Any] = {"open": OPEN, "finished": FINISHED, "n": N, "requests": REQUESTS}
    document["pipeline"] = {
        name: [asdict(lane) for lane in each.pipeline] for name, each in (("small", small), ("large", large))
    }
    document["rows"] = [
        {"name": each.name, "small_ms": each.small, "large_ms": each.large, "ratio": each.ratio} for each in found
    ]
    report.say(f"\nWritten to {report.write('bench-scale', document)}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
