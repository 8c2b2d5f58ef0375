"""`make bench`: compare the pipeline with a workflow of the same shape that does nothing, on the same servers.

- `nothing`: the floor
- `pipeline`: the product with fakes behind the models' ports
- `with model`: the product with its models
- `by API`: the pipeline with a language model over HTTP that responds at once, which shows the overhead of the calls
- `by API, slow`: the same with responses after 2 s and SLOW assessments in flight, to measure memory
- `API hangs`, `API down`: the product's calls time out after 2 s or find no server; the local grader is the fallback

Every assessment has ten items, two of them essays of 250 words. Latency, CPU time and statements are measured from the
request that submits (for the floor: the signal) to the end of the run. Rows, bytes and WAL of PostgreSQL are measured
from the start of the assessment, and include the student's row. N is the number of assessments per measurement,
CONCURRENCY a list of numbers of assessments at a time.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.security.tokens import Tokens
from deploy.local.process import ProgramFailedError, last_lines
from tests.benchmarks import report, workload
from tests.benchmarks.nothing import QUEUE, Nothing, NothingWorkflow
from tests.benchmarks.servers import MODELLESS, SECRET, Servers, servers, until_ready
from tests.support import fake_completions, model_server
from tests.support.answers import response_to
from tests.support.model_server import ModelServer
from workflows.engine.assessment_runs import workflow_id
from workflows.engine.client import connect
from workflows.engine.process_exit import run_and_leave

N = int(os.environ.get("N", "96"))
CONCURRENCY = [int(each) for each in os.environ.get("CONCURRENCY", "1,16").split(",")]
SLOW = 40
"""The number of assessments with essays in flight when memory is measured."""
HANGING_S = 2
"""The timeout of a call that gets no response. Each call is made at most twice."""

Run = Callable[[], Awaitable[str]]
"""A function that submits one prepared run, waits for its end and returns its workflow's id."""
Prepare = Callable[[], Awaitable[Sequence[Run]]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures of a lane. Milliseconds, CPU seconds and counts are per assessment."""

    lane: str
    concurrency: int
    p50_ms: float
    p95_ms: float
    per_second: float
    cpu_ms: float
    cpu_ms_by_process: dict[str, float]
    sql_statements: float
    history_events: int
    history_bytes: int
    rows: float
    database_bytes: float
    wal_bytes: float


class Assessments:
    """Prepare and submit assessments over HTTP, by default of students of a new organization each time."""

    def __init__(self, shared: Servers, client: Client, organization_id: UUID | None = None) -> None:
        self._shared = shared
        self.client = client
        self._organization_id = organization_id
        self._tokens = Tokens(SecretStr(SECRET), timedelta(hours=1))
        self._essay = workload.essay_text()
        self._http = _http(shared.environment["API_URL"])

    async def prepare(self, count: int) -> list[Run]:
        url = self._shared.postgres.url
        students = await asyncio.to_thread(workload.add_students, url, count, self._organization_id)
        return [await self._prepared(student) for student in students]

    async def _prepared(self, student: workload.Student) -> Run:
        headers = {"Authorization": f"Bearer {self._tokens.issue(student.principal)}"}

        async def send(path: str, body: object) -> Any:
            return (await self._http.post(path, json=body, headers=headers)).raise_for_status().json()

        started = await send("/assessments/start", {"role_id": str(workload.ROLE_ID)})
        answers = [response_to(question, self._essay) for question in started["questions"]]
        path = f"/assessments/{started['assessment_id']}/responses"
        await send(path, {"responses": answers[:-1]})

        async def submit() -> str:
            await send(path, {"responses": answers[-1:], "completed": True})
            run = workflow_id(started["assessment_id"])
            await self._finished(run)
            return run

        return submit

    async def _finished(self, run: str) -> None:
        """Wait for the end of the run. If the API could not start it within its deadline, a sweep starts it later."""
        while True:
            try:
                await self.client.get_workflow_handle(run).result()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(0.1)
            else:
                return


def _http(url: str) -> httpx.AsyncClient:
    """Return a client that closes an idle connection before the server does, so that no request meets a closed one."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    return httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=60, limits=limits, trust_env=False)


async def prepare_nothing(client: Client, count: int) -> list[Run]:
    async def prepared() -> Run:
        handle = await client.start_workflow(
            NothingWorkflow.run, Nothing(id=uuid4()), id=f"nothing-{uuid4()}", task_queue=QUEUE
        )

        async def submit() -> str:
            await handle.signal(NothingWorkflow.submit)
            await handle.result()
            return handle.id

        return submit

    return [await prepared() for _ in range(count)]


async def measure(lane: str, concurrency: int, prepare: Prepare, shared: Servers, client: Client) -> Measurement:
    slots = asyncio.Semaphore(concurrency)
    latencies_ms: list[float] = []

    async def one(run: Run) -> str:
        async with slots:
            started = time.perf_counter()
            finished = await run()
            latencies_ms.append((time.perf_counter() - started) * 1000)
            return finished

    stored, runs = shared.stored(), await prepare()
    statements, cpu, started = shared.statements(), shared.cpu_s(), time.perf_counter()
    ids = await asyncio.gather(*(one(run) for run in runs))
    seconds = time.perf_counter() - started
    await asyncio.sleep(0.2)  # let the servers finish writing
    count = len(runs)
    spent = {name: (now - cpu.get(name, 0.0)) * 1000 / count for name, now in shared.cpu_s().items()}
    executed, now_stored = shared.statements() - statements, shared.stored()
    history = await client.get_workflow_handle(ids[-1]).fetch_history()
    return Measurement(
        lane=lane,
        concurrency=concurrency,
        p50_ms=statistics.median(latencies_ms),
        p95_ms=statistics.quantiles(latencies_ms, n=20)[-1],
        per_second=count / seconds,
        cpu_ms=sum(spent.values()),
        cpu_ms_by_process=spent,
        sql_statements=executed / count,
        history_events=len(history.events),
        history_bytes=sum(event.ByteSize() for event in history.events),
        rows=(now_stored.rows - stored.rows) / count,
        database_bytes=(now_stored.database_bytes - stored.database_bytes) / count,
        wal_bytes=(now_stored.wal_bytes - stored.wal_bytes) / count,
    )


@asynccontextmanager
async def lane(
    name: str, shared: Servers, *arguments: str, ready: str, **more: str
) -> AsyncIterator[Callable[[int, Prepare, Client], Awaitable[Measurement]]]:
    with shared.running("worker", *arguments, ready=ready, **more):

        async def measured(concurrency: int, prepare: Prepare, client: Client) -> Measurement:
            found = await measure(name, concurrency, prepare, shared, client)
            report.say(f"  {name}, {concurrency} at a time: {found.p50_ms:.0f} ms, {found.per_second:.1f} a second")
            return found

        yield measured
        PEAKS[name] = shared.peak_mb()


SIZES = ("SQL", "events", "history bytes", "rows", "database bytes", "WAL bytes")
"""The columns of the second table after those of CPU time."""
PEAKS: dict[str, dict[str, float]] = {}
"""Peak memory in MB by lane and process."""


async def bench(shared: Servers) -> list[Measurement]:
    client = await connect()
    found: list[Measurement] = []
    async with lane("nothing", shared, "-m", "tests.benchmarks.nothing", ready="serving") as measured:
        await asyncio.gather(*(run() for run in await prepare_nothing(client, 8)))
        found += [await measured(each, partial(prepare_nothing, client, N), client) for each in CONCURRENCY]
    with shared.running("api", "-m", "api"):
        await until_ready(shared.environment["API_URL"])
        assessments = Assessments(shared, client)
        for name, program in (("pipeline", MODELLESS), ("with model", ("worker.py",))):
            async with lane(name, shared, *program, ready="worker_ready") as measured:
                await asyncio.gather(*(run() for run in await assessments.prepare(8)))  # warm up
                found += [await measured(each, partial(assessments.prepare, N), client) for each in CONCURRENCY]
        found += await by_api(shared, client, assessments)
    return found


async def by_api(shared: Servers, client: Client, assessments: Assessments) -> list[Measurement]:
    """Measure with a language model over HTTP. Its CPU time is not measured, because it runs in this process."""
    found: list[Measurement] = []
    with ModelServer() as provider:
        more = {"OPENAI_API_KEY": model_server.KEY, "OPENAI_BASE_URL": provider.base_url}
        async with lane("by API", shared, *MODELLESS, ready="worker_ready", **more) as measured:
            await asyncio.gather(*(run() for run in await assessments.prepare(8)))  # warm up
            found += [await measured(each, partial(assessments.prepare, N), client) for each in CONCURRENCY]
        provider.rule = fake_completions.delayed(2.0)
        async with lane("by API, slow", shared, *MODELLESS, ready="worker_ready", **more) as measured:
            await asyncio.gather(*(run() for run in await assessments.prepare(SLOW)))
        found += await without_answers(shared, client, assessments, provider, more)
    return found


async def without_answers(
    shared: Servers, client: Client, assessments: Assessments, provider: ModelServer, more: dict[str, str]
) -> list[Measurement]:
    """Measure how long a student waits for the local grader.

    These lanes run last: their degraded results would heal during other lanes.
    """
    found: list[Measurement] = []
    provider.rule = lambda _: fake_completions.HANG
    hanging = more | {"OPENAI_TIMEOUT_S": str(HANGING_S)}
    async with lane("API hangs", shared, "worker.py", ready="worker_ready", **hanging) as measured:
        found += [await measured(each, partial(assessments.prepare, N), client) for each in CONCURRENCY]
    provider.refuse_connections()
    async with lane("API down", shared, "worker.py", ready="worker_ready", **more) as measured:
        found += [await measured(each, partial(assessments.prepare, N), client) for each in CONCURRENCY]
    return found


def show(found: Sequence[Measurement]) -> None:
    floor = {each.concurrency: each for each in found if each.lane == "nothing"}
    columns = ["lane @ concurrency", "p50 ms", "x floor", "p95 ms", "per s", "of floor", "CPU ms", "x floor"]
    rows = [
        [
            f"{each.lane} @ {each.concurrency}",
            each.p50_ms,
            each.p50_ms / floor[each.concurrency].p50_ms,
            each.p95_ms,
            each.per_second,
            each.per_second / floor[each.concurrency].per_second,
            each.cpu_ms,
            each.cpu_ms / floor[each.concurrency].cpu_ms,
        ]
        for each in found
    ]
    report.say("\n" + report.table(columns, rows))
    processes = sorted({name for each in found for name in each.cpu_ms_by_process})
    rows = [
        [
            f"{each.lane} @ {each.concurrency}",
            *(each.cpu_ms_by_process.get(name, 0.0) for name in processes),
            each.sql_statements,
            each.history_events,
            each.history_bytes,
            each.rows,
            each.database_bytes,
            each.wal_bytes,
        ]
        for each in found
    ]
    columns = ["per assessment", *(f"{name} CPU ms" for name in processes), *SIZES]
    report.say("\n" + report.table(columns, rows))
    rows = [[name, *(peaks.get(process, 0.0) for process in processes)] for name, peaks in PEAKS.items()]
    report.say("\n" + report.table(["peak memory, MB", *processes], rows))
    report.say("\n" + "\n".join(call_overhead(found)))


def call_overhead(found: Sequence[Measurement]) -> list[str]:
    """Return the cost of the essays' calls: the difference to the pipeline without calls, without the provider."""
    cpu_ms = {(each.lane, each.concurrency): each.cpu_ms for each in found}
    lines = []
    for each in CONCURRENCY:
        beyond_ms = (cpu_ms["by API", each] - cpu_ms["pipeline", each]) / workload.ESSAYS
        lines.append(f"Overhead of a call for an essay, {each} assessments at a time: {beyond_ms:.0f} ms CPU")
    beyond_mb = PEAKS["by API, slow"]["worker"] - PEAKS["pipeline"]["worker"]
    return [
        *lines,
        f"A worker with the essays of {SLOW} assessments in flight: {beyond_mb:.0f} MB more than without",
    ]


def main() -> int:
    report.say(f"bench: {N} assessments a measurement, concurrency {CONCURRENCY}")
    with tempfile.TemporaryDirectory(prefix="microcred-bench-") as directory, servers(Path(directory)) as shared:
        try:
            found = asyncio.run(bench(shared))
        except ProgramFailedError as error:
            report.say("\n".join([str(error), *last_lines(error.log)]))
            return 1
    show(found)
    figures: dict[str, Any] = {"n": N, "measurements": [asdict(each) for each in found], "peak_mb": PEAKS}
    report.say(f"\nWritten to {report.write('bench', figures)}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
