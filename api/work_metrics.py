"""Gauges of pending work. Each scrape reads them from Postgres and Temporal, not from workers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from domain.errors import AppError, ExternalServiceError
from persistence.queries.work import StepView, SweepView, WorkQueries, WorkView
from workflows.engine.backlogs import Backlog, TaskQueues

Result = TypeVar("Result")

_HELP: Final = {
    "assessments_unfinished": ("assessments_unfinished", "Submitted assessments without a result"),
    "oldest_unfinished_s": ("oldest_unfinished_seconds", "Age of the oldest submission without a result"),
    "assessments_healing": ("assessments_healing", "Degraded results that healing retries"),
    "results_awaiting_model": ("results_awaiting_model", "Degraded results that wait for the language model"),
    "results_awaiting_search": ("results_awaiting_search", "Degraded results that wait for the search"),
    "essays_awaiting_review": ("essays_awaiting_review", "Doubtful or appealed essays that wait for a reviewer"),
    "oldest_review_s": ("oldest_review_seconds", "Time since the hand-in of the oldest such essay"),
    "deliveries_pending": ("webhook_deliveries_pending", "Webhook deliveries that have not finished"),
    "oldest_delivery_late_s": ("webhook_oldest_delivery_late_seconds", "How long the oldest delivery is overdue"),
}


async def registry_of_work(work: WorkQueries, queues: TaskQueues | None) -> CollectorRegistry:
    """Read the gauges. A source that does not answer in time is reported as down and has no gauges."""
    registry = CollectorRegistry()
    waiting, steps, sweeps, backlogs = await asyncio.gather(
        _read(work.waiting), _read(work.steps), _read(work.sweeps), _backlogs(queues)
    )
    registry.register(WorkCollector(waiting, backlogs, steps or (), sweeps or ()))
    return registry


class WorkCollector(Collector):
    def __init__(
        self,
        waiting: WorkView | None,
        backlogs: Iterable[Backlog] | None,
        steps: Iterable[StepView] = (),
        sweeps: Iterable[SweepView] = (),
    ) -> None:
        self._sweeps = sweeps
        self._waiting = waiting
        self._backlogs = backlogs
        self._steps = steps

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "microcred_source_up", "Whether the source of the work gauges answered", labels=["source"]
        )
        up.add_metric(["postgres"], self._waiting is not None)
        up.add_metric(["temporal"], self._backlogs is not None)
        yield up
        if self._waiting is not None:
            for field, value in asdict(self._waiting).items():
                name, meaning = _HELP[field]
                yield GaugeMetricFamily(f"microcred_{name}", meaning, value=value)
            yield from _step_families(self._steps)
            yield _sweep_family(self._sweeps)
        if self._backlogs is not None:
            yield from _backlog_families(self._backlogs)


def _backlog_families(backlogs: Iterable[Backlog]) -> tuple[Metric, Metric]:
    labels = ["queue", "kind"]
    tasks = GaugeMetricFamily("microcred_queue_backlog", "Tasks that no worker has started", labels=labels)
    oldest = GaugeMetricFamily("microcred_queue_backlog_age_seconds", "Age of the oldest such task", labels=labels)
    for each in backlogs:
        tasks.add_metric([each.queue, each.kind], each.tasks)
        oldest.add_metric([each.queue, each.kind], each.oldest_s)
    return tasks, oldest


def _step_families(steps: Iterable[StepView]) -> tuple[Metric, Metric]:
    oldest = GaugeMetricFamily(
        "microcred_step_oldest_seconds", "Age of the oldest submission that waits at a step", labels=["step"]
    )
    lost = GaugeMetricFamily(
        "microcred_step_lost_attempts",
        "Attempts at open steps that crashed their worker or timed out",
        labels=["step"],
    )
    for each in steps:
        oldest.add_metric([each.step], each.oldest_s)
        lost.add_metric([each.step], each.lost_attempts)
    return oldest, lost


def _sweep_family(sweeps: Iterable[SweepView]) -> Metric:
    age = GaugeMetricFamily(
        "microcred_sweep_age_seconds", "Time since the last sweep of reconciliation ended", labels=["concern"]
    )
    for each in sweeps:
        age.add_metric([each.concern], each.age_s)
    return age


async def _read(query: Callable[[], Awaitable[Result]]) -> Result | None:
    try:
        return await query()
    except AppError:
        return None


async def _backlogs(queues: TaskQueues | None) -> list[Backlog] | None:
    try:
        return await queues.backlogs() if queues else None
    except ExternalServiceError:
        return None
