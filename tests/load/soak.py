"""`python -m tests.load.soak`: run the stack near its capacity, and look for growing memory, files and backlogs.

First as many assessments as possible are taken for WARM_UP minutes, which fills the caches and measures the capacity.
Then for MINUTES an assessment starts at regular intervals, at SHARE of that rate, and each result is delivered to a
partner. A sample is taken every EVERY seconds. The exit code is 1 if an assessment failed, or if the last third of the
samples is higher than the first: memory of a process by more than 5 %, and the other values by more than a few.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from deploy.local.ports import free_port
from deploy.local.process import ProgramFailedError, last_lines
from tests.benchmarks import report
from tests.benchmarks.bench import Assessments
from tests.benchmarks.servers import Servers, servers, until_ready
from tests.load.samples import Growth, Kind, Sample, growth, of_processes
from tests.support.partners import CIPHER, a_secret
from workflows.engine.backlogs import TaskQueues
from workflows.engine.client import connect
from workflows.engine.process_exit import run_and_leave

CONCURRENCY: Final = 16
"""The number of assessments at a time while the capacity is measured."""
BACKLOG_DEADLINE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The arguments: durations in minutes, except for `every_s`."""

    minutes: float
    share: float
    warm_up: float
    every_s: float


@dataclass(slots=True)
class Load:
    """Take assessments, and count them."""

    assessments: Assessments
    completed: int = 0
    in_flight: int = 0
    failures: list[str] = field(default_factory=list)

    async def one(self) -> None:
        self.in_flight += 1
        try:
            (run,) = await self.assessments.prepare(1)
            await run()
        except Exception as error:  # noqa: BLE001  # any error is a lost assessment
            self.failures.append(repr(error))
        else:
            self.completed += 1
        finally:
            self.in_flight -= 1

    async def capacity(self, minutes: float) -> float:
        """Take CONCURRENCY assessments at a time for some minutes. Return the completed ones per second."""
        started = time.monotonic()

        async def repeat() -> None:
            while time.monotonic() < started + 60 * minutes:
                await self.one()

        await asyncio.gather(*(repeat() for _ in range(CONCURRENCY)))
        return self.completed / (time.monotonic() - started)

    async def at(self, per_s: float, minutes: float) -> None:
        """Start `per_s` assessments per second for some minutes, however many are open, and wait for their end."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(60 * minutes * per_s)):
                await asyncio.sleep(started + number / per_s - time.monotonic())
                tasks.create_task(self.one())


async def sampled(work: Coroutine[Any, Any, None], shared: Servers, load: Load, every_s: float) -> list[Sample]:
    """Do the work, and take a sample every `every_s` seconds meanwhile."""
    queues = TaskQueues(load.assessments.client, deadline_s=BACKLOG_DEADLINE_S)
    samples: list[Sample] = []
    task = asyncio.create_task(work)
    while not (await asyncio.wait({task}, timeout=every_s))[0]:
        backlog = sum(each.tasks for each in await queues.backlogs())
        waiting = {(Kind.WAITING, "tasks in Temporal"): backlog, (Kind.WAITING, "open assessments"): load.in_flight}
        samples.append({**await asyncio.to_thread(of_processes, shared), **waiting})
    await task
    return samples


async def soak(plan: Plan, shared: Servers, running: ExitStack) -> tuple[Load, float, list[Sample]]:
    port, organization_id = free_port(), uuid4()
    more = {"WEBHOOK_ALLOW_LOOPBACK": "true"}
    register_partner(shared.postgres.url, organization_id, f"http://127.0.0.1:{port}/ok")
    running.enter_context(shared.running("partner", "-m", "tests.benchmarks.partner", str(port), ready="serving"))
    running.enter_context(shared.running("api", "-m", "api", **more))
    running.enter_context(shared.running("worker", "worker.py", ready="worker_ready", **more))
    await until_ready(shared.environment["API_URL"])
    load = Load(Assessments(shared, await connect(), organization_id))
    capacity = await load.capacity(plan.warm_up)
    report.say(f"Capacity: {capacity:.2f} assessments per second")
    samples = await sampled(load.at(capacity * plan.share, plan.minutes), shared, load, plan.every_s)
    return load, capacity, samples


def register_partner(database_url: str, organization_id: UUID, url: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO organizations (id, name) VALUES (%s, 'soak')", [organization_id])
        connection.execute(
            "INSERT INTO webhook_endpoints (id, organization_id, url, event_types, secret)"
            " VALUES (%s, %s, %s, '{assessment.completed}', %s)",
            [uuid4(), organization_id, url, CIPHER.encrypt(a_secret())],
        )


def show(found: Sequence[Growth]) -> None:
    rows = [
        [f"{each.name}: {each.kind}", each.first, each.last, each.ratio, "too much" if each.is_too_large else ""]
        for each in found
    ]
    report.say("\n" + report.table(["value", "first third", "last third", "ratio", "growth"], rows))
    grown = [each.name for each in found if each.is_too_large and each.kind is Kind.MEMORY]
    report.say(f"\nMemory within 5 %: {'no: ' + ', '.join(grown) if grown else 'yes'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--share", type=float, default=0.8, help="share of the capacity, 0.8 by default")
    parser.add_argument("--warm-up", type=float, default=3, help="minutes in which the capacity is measured")
    parser.add_argument("--every", dest="every_s", type=float, default=10, help="seconds between samples")
    plan = Plan(**vars(parser.parse_args()))
    report.say(f"soak: {plan.minutes:g} minutes at {plan.share:.0%} of the capacity")
    with tempfile.TemporaryDirectory(prefix="microcred-soak-") as directory, servers(Path(directory)) as shared:
        try:
            with ExitStack() as running:
                load, capacity, samples = asyncio.run(soak(plan, shared, running))
        except ProgramFailedError as error:
            report.say("\n".join([str(error), *last_lines(error.log)]))
            return 1
    found = growth(samples)
    show(found)
    report.say(f"{load.completed} assessments completed, {len(load.failures)} failed {load.failures[:1] or ''}")
    document = {"capacity_per_s": capacity, "completed": load.completed, "failures": load.failures}
    document["samples"] = [{f"{name}: {kind}": value for (kind, name), value in each.items()} for each in samples]
    report.say(f"Written to {report.write('soak', document)}")
    return int(bool(load.failures) or any(each.is_too_large for each in found))


if __name__ == "__main__":
    run_and_leave(main)
