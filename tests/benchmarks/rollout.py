"""`python -m tests.benchmarks.rollout`: roll out three builds of the workers under load with the production script.

The first build is current. It claims and publishes with activities of their own, and the others do not. The second has
a bug and is rolled back while it serves a share of the runs. The third has a change behind a patch and serves all runs;
then the first worker stops. Meanwhile CONCURRENCY clients submit assessments without a pause, and WAITING assessments
that were started before are submitted to the third. Every KILL_EVERY_S seconds (0: never) all workers are killed with
SIGKILL and started again.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from deploy.local.process import ProgramFailedError, last_lines
from tests.benchmarks import report
from tests.benchmarks.bench import Assessments, Run
from tests.benchmarks.servers import Servers, servers
from workflows.engine.client import connect
from workflows.engine.process_exit import run_and_leave

CONCURRENCY = int(os.environ.get("CONCURRENCY", "4"))
WAITING = int(os.environ.get("WAITING", "20"))
WATCH_S = float(os.environ.get("WATCH_S", "15"))
KILL_EVERY_S = float(os.environ.get("KILL_EVERY_S", "0"))
OTHER = ("-m", "tests.benchmarks.later_worker")


@dataclass
class Load:
    """Submit assessments one after the other until `stopped` is set."""

    assessments: Assessments
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def submit_until_stopped(self) -> None:
        while not self.stopped.is_set():
            (run,) = await self.assessments.prepare(1)
            await self.one(run)

    async def one(self, run: Run) -> None:
        began = time.perf_counter()
        try:
            await run()
        except Exception as error:  # noqa: BLE001  # any error is a lost run
            self.failures.append(repr(error))
        self.latencies_s.append(time.perf_counter() - began)


async def roll_out(shared: Servers, build: str) -> int:
    command = ("-m", "deploy.temporal.rollout", build, "--watch", str(WATCH_S))
    report.say(f"== rollout {build}")
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env=shared.environment)
    return await process.wait()


async def kill_workers(shared: Servers) -> None:
    """Kill every worker again and again, until the task is cancelled."""
    while KILL_EVERY_S:
        await asyncio.sleep(KILL_EVERY_S)
        for name in sorted(shared.processes.keys() & {"first", "broken", "patched"}):
            shared.kill_and_start(name)


async def measure(shared: Servers) -> dict[str, Any]:
    client = await connect()
    load = Load(Assessments(shared, client))
    with ExitStack() as running, ExitStack() as first:
        running.enter_context(shared.running("api", "-m", "api"))
        first.enter_context(shared.running("first", *OTHER, "earlier", ready="worker_ready", WORKER_BUILD_ID="first"))
        codes = {"first": await roll_out(shared, "first")}
        waiting = await load.assessments.prepare(WAITING)
        busy = [asyncio.create_task(load.submit_until_stopped()) for _ in range(CONCURRENCY)]
        killing = asyncio.create_task(kill_workers(shared))
        with shared.running("broken", *OTHER, "broken", ready="worker_ready", WORKER_BUILD_ID="broken"):
            codes["broken"] = await roll_out(shared, "broken")
        third = shared.running("patched", *OTHER, "patched", ready="worker_ready", WORKER_BUILD_ID="patched")
        running.enter_context(third)
        codes["patched"] = await roll_out(shared, "patched")
        killing.cancel()
        first.close()
        await asyncio.gather(*(load.one(run) for run in waiting))
        load.stopped.set()
        await asyncio.gather(*busy)
        return {"codes": codes, "runs": await ended(client), **figures(load)}


def figures(load: Load) -> dict[str, Any]:
    slowest = sorted(load.latencies_s)
    return {
        "submitted": len(slowest),
        "failures": load.failures,
        "median_s": slowest[len(slowest) // 2],
        "slowest_s": slowest[-1],
    }


async def ended(client: Client) -> dict[str, int]:
    """Count the runs by their status and by the build that last worked on them."""
    await asyncio.sleep(2)  # visibility is eventually consistent
    found: Counter[str] = Counter()
    async for run in client.list_workflows("WorkflowType = 'AssessmentWorkflow'"):
        build = run.search_attributes.get("TemporalWorkerDeploymentVersion", ["none"])[0]
        found[f"{run.status.name if run.status else 'UNKNOWN'} by {build}"] += 1
    return dict(found)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="microcred-rollout-") as directory, servers(Path(directory)) as shared:
        try:
            found = asyncio.run(measure(shared))
        except ProgramFailedError as error:
            report.say("\n".join([str(error), *last_lines(error.log)]))
            return 1
    report.say(f"\n{found}\nWritten to {report.write('rollout', found)}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
