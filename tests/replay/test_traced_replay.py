"""Tracing may be switched between two tasks of a run, and a replay exports no span again."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.settings import CHECKOUT
from tests.support.collector import collector

# In its own process: OpenTelemetry's provider is global and can be set only once.
BRANCHES = {"degraded-then-healed", "essays-graded", "webhook-dead-letter"}
PROGRAM = f"""
import asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from workflows.telemetry.tracing import plugins, start_tracing, stop_tracing

start_tracing("replay")
traced = plugins()
assert traced

from tests.replay.histories import all_paths, read
from tests.workflows.sandbox import STRICT
from workflows.engine.workers import WORKFLOW_INTERCEPTORS, WORKFLOWS
from workflows.telemetry.correlation import CorrelationInterceptor

async def main():
    replayer = Replayer(
        workflows=[workflow for workflows in WORKFLOWS.values() for workflow in workflows],
        data_converter=pydantic_data_converter,
        interceptors=[CorrelationInterceptor(), *WORKFLOW_INTERCEPTORS],
        plugins=traced,
        workflow_runner=STRICT,
    )
    for path in all_paths():
        if path.parent.name not in {BRANCHES}:
            continue
        await replayer.replay_workflow(read(path))
        print(path.stem)

asyncio.run(main())
stop_tracing()
"""


def test_histories_recorded_without_tracing_replay_with_it_and_leave_no_span(tmp_path: Path) -> None:
    with collector(tmp_path / "spans.txt") as spans:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=CHECKOUT,
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": spans.endpoint},
            check=False,
            capture_output=True,
            text=True,
            timeout=150,
        )

        assert ran.returncode == 0, ran.stderr[-4000:]
        assert "AssessmentWorkflow-1" in ran.stdout
        assert spans.spans() == []
