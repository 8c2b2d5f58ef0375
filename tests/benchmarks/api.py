"""`make bench-api`: compare start, responses, status and result with a bare FastAPI and SQLAlchemy endpoint.

Both servers run on the same Postgres in one run. The N requests (2,000) of a lane are sent in ROUNDS slices. Each slice
runs next to a slice of its floor, so that noise affects both; `of floor` is the median over the rounds. CONCURRENCY (a
list) is the number of connections; each sends its next request after the response to the previous one. The pipeline
completes the assessments that are read. No worker runs during the measurement, but Temporal accepts the starts. Every
start belongs to a new student, so it includes the student's lookup.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from pydantic import SecretStr

from api.security.tokens import Tokens
from deploy.local.ports import free_port
from deploy.local.process import ProgramFailedError, last_lines
from tests.benchmarks import report, workload
from tests.benchmarks.connections import Answer, Connection, request_bytes
from tests.benchmarks.servers import MODELLESS, READY_WITHIN_S, SECRET, Servers, servers
from tests.support.answers import response_to
from tests.support.deployment import libpq
from workflows.engine.process_exit import run_and_leave

N = int(os.environ.get("N", "2000"))
CONCURRENCY = [int(each) for each in os.environ.get("CONCURRENCY", "1,16").split(",")]
ROUNDS = 5
GRADED = 32
"""The number of completed assessments; the lanes `status` and `result` read them in turn."""
FLOORS = {"start": "bare insert", "responses": "bare insert", "submit": "bare insert"} | {
    "status": "bare read",
    "result": "bare read",
}
TARGETS = {"bare read": 0.6, "bare insert": 0.5}
ANSWERED = {"start": 201, "responses": 202, "submit": 202, "status": 200, "result": 200} | {
    "bare read": 200,
    "bare insert": 201,
}
UNLIMITED = {f"RATE_LIMIT_{kind}": "100000000/minute" for kind in ("READS", "WRITES", "LOGIN")}
PREFIX = "/api/v1/assessments"


@dataclass(slots=True)
class Slice:
    """The measurements of one part of a lane; CPU seconds by process."""

    count: int
    seconds: float
    latencies_ms: list[float]
    cpu_s: dict[str, float]
    statements: int

    @property
    def per_second(self) -> float:
        return self.count / self.seconds


@dataclass(slots=True)
class Lane:
    """One kind of request at one concurrency. Milliseconds and statements are per request."""

    name: str
    concurrency: int
    slices: list[Slice] = field(default_factory=list)

    def figures(self, floor: "Lane | None") -> dict[str, Any]:
        count = sum(each.count for each in self.slices)
        latencies = [latency for each in self.slices for latency in each.latencies_ms]
        return {
            "lane": self.name,
            "concurrency": self.concurrency,
            "per_second": count / sum(each.seconds for each in self.slices),
            "p50_ms": statistics.median(latencies),
            "p95_ms": statistics.quantiles(latencies, n=20)[-1],
            "of_floor": None if floor is None else _ratio(self, floor),
            "sql_statements": sum(each.statements for each in self.slices) / count,
            "cpu_ms": {
                name: sum(each.cpu_s[name] for each in self.slices) * 1000 / count for name in self.slices[0].cpu_s
            },
        }


def _ratio(lane: Lane, floor: Lane) -> float:
    """Return the median over the slices of the floor's time divided by the lane's time."""
    pairs = zip(lane.slices, floor.slices, strict=True)
    return statistics.median(ours.per_second / theirs.per_second for ours, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A student's assessment in progress."""

    token: str
    id: str
    answers: list[dict[str, Any]]

    @classmethod
    def of(cls, token: str, started: Answer, essay: str) -> "Attempt":
        body = started.json()
        return cls(token, body["assessment_id"], [response_to(question, essay) for question in body["questions"]])

    def responses(self) -> bytes:
        return self._send({"responses": self.answers[:-1]})

    def submit_last(self) -> bytes:
        return self._send({"responses": self.answers[-1:], "completed": True})

    def read(self, what: str = "") -> bytes:
        return request_bytes("GET", f"{PREFIX}/{self.id}{what}", token=self.token)

    def _send(self, body: object) -> bytes:
        return request_bytes("POST", f"{PREFIX}/{self.id}/responses", token=self.token, body=body)


@dataclass(slots=True)
class Bench:
    """Send and measure requests. `ports` has the port of the product and of the bare server."""

    shared: Servers
    ports: dict[str, int]
    lanes: dict[tuple[str, int], Lane] = field(default_factory=dict)
    essay: str = field(default_factory=workload.essay_text)

    def tokens(self, count: int) -> list[str]:
        """Insert new students and return their tokens."""
        tokens = Tokens(SecretStr(SECRET), timedelta(hours=1))
        students = workload.add_students(self.shared.postgres.url, count)
        return [tokens.issue(each.principal) for each in students]

    async def measure(self, name: str, concurrency: int, requests: Sequence[bytes]) -> list[Answer]:
        """Send the requests, record the slice, and return the responses in the requests' order."""
        port = self.ports["bare" if name.startswith("bare") else "api"]
        before, statements = self.shared.cpu_s(), self.shared.statements()
        started = time.perf_counter()
        answers, latencies = await _sent(port, concurrency, requests)
        seconds = time.perf_counter() - started
        cpu = {process: now - before[process] for process, now in self.shared.cpu_s().items()}
        found = Slice(len(requests), seconds, latencies, cpu, self.shared.statements() - statements)
        if unexpected := [each for each in answers if each.status != ANSWERED[name]]:
            raise RuntimeError(f"{name}: {len(unexpected)} answers such as {unexpected[0]}")
        self.lanes.setdefault((name, concurrency), Lane(name, concurrency)).slices.append(found)
        return answers

    async def start(self, concurrency: int, count: int) -> list[Attempt]:
        tokens = self.tokens(count)
        body = {"role_id": str(workload.ROLE_ID)}
        requests = [request_bytes("POST", f"{PREFIX}/start", token=token, body=body) for token in tokens]
        answers = await self.measure("start", concurrency, requests)
        return [Attempt.of(token, answer, self.essay) for token, answer in zip(tokens, answers, strict=True)]

    async def graded(self) -> list[Attempt]:
        """Return assessments that the pipeline has completed."""
        assessments = await self.start(4, GRADED)
        await self.measure("submit", 4, [each.submit_last() for each in assessments])
        with self.shared.running("worker", *MODELLESS, ready="worker_ready"):
            await asyncio.to_thread(_wait_for_results, self.shared.postgres.url, len(assessments))
        self.lanes.clear()
        return assessments

    async def round(self, concurrency: int, count: int, graded: Sequence[Attempt], notes: Sequence[str]) -> list[str]:
        """Measure one slice of every lane. Return the ids of the notes that the floor inserted."""
        added = await self.measure("bare insert", concurrency, [_new_note() for _ in range(count)])
        assessments = await self.start(concurrency, count)
        await self.measure("responses", concurrency, [each.responses() for each in assessments])
        await self.measure("submit", concurrency, [each.submit_last() for each in assessments])
        reads = [request_bytes("GET", f"/notes/{note}") for note in islice(cycle(notes), count)]
        await self.measure("status", concurrency, [each.read() for each in islice(cycle(graded), count)])
        await self.measure("bare read", concurrency, reads)
        await self.measure("result", concurrency, [each.read("/result") for each in islice(cycle(graded), count)])
        return [answer.json()["id"] for answer in added]

    async def run(self) -> None:
        graded = await self.graded()
        notes = [each.json()["id"] for each in await self.measure("bare insert", 1, [_new_note() for _ in graded])]
        await self.round(max(CONCURRENCY), max(CONCURRENCY), graded, notes)  # warm up
        self.lanes.clear()
        for concurrency in CONCURRENCY:
            for _ in range(ROUNDS):
                notes = await self.round(concurrency, max(N // ROUNDS, 1), graded, notes)

    def figures(self) -> list[dict[str, Any]]:
        return [
            lane.figures(self.lanes.get((FLOORS.get(name, ""), concurrency)))
            for (name, concurrency), lane in self.lanes.items()
        ]


def _new_note() -> bytes:
    body = {"owner_id": str(uuid4()), "status": "in_progress", "text": "x" * 200}
    return request_bytes("POST", "/notes", body=body)


async def _sent(port: int, concurrency: int, requests: Sequence[bytes]) -> tuple[list[Answer], list[float]]:
    """Return the responses in the requests' order, and the latencies in ms."""
    answers: dict[int, Answer] = {}
    latencies: list[float] = []
    waiting = iter(enumerate(requests))
    connections = [await Connection.open(port) for _ in range(min(concurrency, len(requests)))]

    async def work(connection: Connection) -> None:
        for place, request in waiting:
            started = time.perf_counter()
            answers[place] = await connection.send(request)
            latencies.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*map(work, connections))
    for connection in connections:
        connection.close()
    return [answers[place] for place in range(len(requests))], latencies


def _wait_for_results(database_url: str, count: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    with psycopg.connect(libpq(database_url), autocommit=True) as connection:
        while time.monotonic() < deadline:
            row = connection.execute("SELECT count(*) FROM assessments WHERE status = 'completed'").fetchone()
            if row and row[0] == count:
                return
            time.sleep(0.2)
    raise RuntimeError("The pipeline has not completed the assessments to read")


@contextmanager
def both(shared: Servers) -> Iterator[dict[str, int]]:
    """Start the product's server and the bare one; yield their ports when both are ready."""
    ports = {"api": int(shared.environment["API_PORT"]), "bare": free_port()}
    with (
        shared.running("api", "-m", "api", TOKEN_MINUTES="60", **UNLIMITED),
        shared.running("bare", "-m", "tests.benchmarks.bare_api", str(ports["bare"])),
    ):
        for name, path in (("api", "/readyz"), ("bare", "/openapi.json")):
            ready = serves(ports[name], request_bytes("GET", path))
            shared.processes[name].wait_until(ready, timeout_s=READY_WITHIN_S)
        yield ports


def serves(port: int, request: bytes) -> Callable[[], bool]:
    """Return a function that checks whether the server responds to the request with 200."""

    async def answer() -> bool:
        connection = await Connection.open(port)
        try:
            return (await connection.send(request)).status == 200
        finally:
            connection.close()

    def serves_now() -> bool:
        with suppress(ConnectionError):
            return asyncio.run(answer())
        return False

    return serves_now


def show(found: Sequence[dict[str, Any]]) -> None:
    processes = list(found[0]["cpu_ms"])
    columns = ["lane @ concurrency", "per s", "of floor", "target", "p50 ms", "p95 ms", "SQL"]
    rows = [
        [
            f"{each['lane']} @ {each['concurrency']}",
            each["per_second"],
            "" if each["of_floor"] is None else each["of_floor"],
            TARGETS.get(FLOORS.get(each["lane"], ""), ""),
            *(each[name] for name in ("p50_ms", "p95_ms", "sql_statements")),
            *(each["cpu_ms"][process] for process in processes),
        ]
        for each in found
    ]
    report.say("\n" + report.table([*columns, *(f"{name} CPU ms" for name in processes)], rows))


def main() -> int:
    report.say(f"bench-api: {N} requests a lane in {ROUNDS} slices, concurrency {CONCURRENCY}")
    with tempfile.TemporaryDirectory(prefix="microcred-bench-") as directory, servers(Path(directory)) as shared:
        try:
            with both(shared) as ports:
                bench = Bench(shared, ports)
                asyncio.run(bench.run())
        except ProgramFailedError as error:
            report.say("\n".join([str(error), *last_lines(error.log)]))
            return 1
    found = bench.figures()
    show(found)
    document = {"n": N, "rounds": ROUNDS, "targets": TARGETS, "measurements": found}
    document["slices"] = [
        asdict(slice_) | {"lane": lane.name} for lane in bench.lanes.values() for slice_ in lane.slices
    ]
    report.say(f"\nWritten to {report.write('bench-api', document)}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
