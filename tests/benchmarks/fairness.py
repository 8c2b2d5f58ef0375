"""`make bench-fairness`: measure the delay of one organization's submission while another's N submissions wait.

Each of SAMPLES submissions is measured alone, and again after all N were acknowledged and while most of them wait.
Requests go through the API to the real workers, one process per queue as deployed; fakes replace the models, because
the benchmark measures queueing.
CROWD_CONCURRENCY is the number of the crowd's concurrent requests.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import LiteralString, TypeVar
from uuid import UUID

import httpx
import psycopg
from pydantic import SecretStr

from api.security.tokens import Tokens
from deploy.local.process import ProgramFailedError, last_lines
from tests.benchmarks import report, workload
from tests.benchmarks.servers import MODELLESS, SECRET, Servers, servers, until_ready
from tests.support.answers import response_to
from workflows.engine.process_exit import run_and_leave
from workflows.policies import Queue

N = int(os.environ.get("N", "2000"))
SAMPLES = int(os.environ.get("SAMPLES", "5"))
CONCURRENCY = int(os.environ.get("CROWD_CONCURRENCY", "16"))
ALLOWED_DELAY_S = 2.0

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured submission; `waiting` counts the crowd's open assessments before and after it."""

    seconds: float
    waiting: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Submission:
    """An assessment in progress that lacks one answer."""

    assessment_id: UUID
    headers: dict[str, str]
    last: object


class Submissions:
    def __init__(self, shared: Servers, http: httpx.AsyncClient, connection: psycopg.Connection) -> None:
        self._shared = shared
        self._connection = connection
        self._http = http
        self._tokens = Tokens(SecretStr(SECRET), timedelta(hours=1))
        self._essay = workload.essay_text()

    async def prepare(self, count: int) -> list[Submission]:
        """Prepare submissions of students of one new organization."""
        students = await asyncio.to_thread(workload.add_students, self._shared.postgres.url, count)
        return await _few_at_a_time(self._prepared, students)

    async def _prepared(self, student: workload.Student) -> Submission:
        headers = {"Authorization": f"Bearer {self._tokens.issue(student.principal)}"}
        role = {"role_id": str(workload.ROLE_ID)}
        started = (await self._http.post("/assessments/start", json=role, headers=headers)).raise_for_status().json()
        *answers, last = (response_to(question, self._essay) for question in started["questions"])
        submission = Submission(UUID(started["assessment_id"]), headers, last)
        await self._send(submission, {"responses": answers})
        return submission

    async def submit(self, submission: Submission) -> None:
        await self._send(submission, {"responses": [submission.last], "completed": True})

    async def _send(self, submission: Submission, body: object) -> None:
        path = f"/assessments/{submission.assessment_id}/responses"
        (await self._http.post(path, json=body, headers=submission.headers)).raise_for_status()

    async def measured(self, submission: Submission) -> Sample:
        """Measure from the request that submits to the published result, even if the engine missed the dispatch."""
        before, started = await asyncio.to_thread(self.waiting), time.perf_counter()
        await self.submit(submission)
        while not await asyncio.to_thread(self._is_done, submission):  # noqa: ASYNC110  # there is no notification
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - started
        return Sample(seconds, (before, await asyncio.to_thread(self.waiting)))

    def _is_done(self, submission: Submission) -> bool:
        query = "SELECT count(*) FROM assessments WHERE id = %s AND status = 'completed'"
        return self._count(query, submission.assessment_id) == 1

    def waiting(self) -> int:
        return self._count("SELECT count(*) FROM assessments WHERE status = 'awaiting_async'")

    def _count(self, query: LiteralString, *parameters: object) -> int:
        row = self._connection.execute(query, parameters).fetchone()
        return int(row[0]) if row else 0


async def _few_at_a_time(work: Callable[[Item], Awaitable[Made]], items: Sequence[Item]) -> list[Made]:
    turns = asyncio.Semaphore(CONCURRENCY)

    async def in_turn(item: Item) -> Made:
        async with turns:
            return await work(item)

    return await asyncio.gather(*map(in_turn, items))


async def bench(shared: Servers) -> tuple[list[Sample], list[Sample]]:
    url = shared.environment["API_URL"]
    with ExitStack() as running:
        running.enter_context(shared.running("api", "-m", "api"))
        for queue in Queue:
            running.enter_context(shared.running(queue, *MODELLESS, queue, ready="worker_ready"))
        await until_ready(url)
        database = psycopg.connect(shared.postgres.url.replace("+psycopg", ""), autocommit=True)
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as http:
            submissions = Submissions(shared, http, database)
            crowd = await submissions.prepare(N)
            warm, *singles = await submissions.prepare(1 + 2 * SAMPLES)
            report.say(f"  {N} assessments of one organization are answered, {2 * SAMPLES} of another")
            await submissions.measured(warm)
            alone = [await submissions.measured(each) for each in singles[:SAMPLES]]
            started = time.perf_counter()
            await _few_at_a_time(submissions.submit, crowd)
            report.say(f"  the crowd is acknowledged after {time.perf_counter() - started:.0f} s")
            crowded = [await submissions.measured(each) for each in singles[SAMPLES:]]
        database.close()
    return alone, crowded


def show(alone: Sequence[Sample], crowded: Sequence[Sample]) -> float:
    """Print the samples and return the longest delay: the slowest in the crowd minus the median alone."""
    usual = statistics.median(each.seconds for each in alone)
    delay = max(each.seconds for each in crowded) - usual
    rows = [
        [name, each.seconds, *each.waiting] for name, found in (("alone", alone), ("crowd", crowded)) for each in found
    ]
    report.say("\n" + report.table(["submission", "s", "waiting before", "after"], rows))
    report.say(f"\nLongest delay {delay:.2f} s; {ALLOWED_DELAY_S:.0f} s are allowed.")
    report.write(
        "bench-fairness",
        {"n": N, "alone": list(map(asdict, alone)), "crowded": list(map(asdict, crowded)), "longest_delay_s": delay},
    )
    return delay


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        try:
            with servers(Path(directory)) as shared:
                alone, crowded = asyncio.run(bench(shared))
        except ProgramFailedError as failure:
            sys.stderr.write(f"{failure}\n" + "\n".join(last_lines(failure.log)) + "\n")
            return 1
    return 0 if show(alone, crowded) <= ALLOWED_DELAY_S else 1


if __name__ == "__main__":
    run_and_leave(main)
