"""How long a re-score waits for a language model, on a time-skipping server with scripted activities."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.advance_rescore import EssayToRescore, RescoreKey, RescoreStep
from activities.finish_rescore_batch import BatchEnd
from activities.score_essay import EssayProgress
from domain.grading.scores import DegradedReason
from domain.rescores.rescores import RescoreStatus
from tests.workflows.sandbox import STRICT
from workflows.policies import Queue
from workflows.rescore import ESSAYS_AT_ONCE, RescoreInput, RescoreWorkflow

RESCORE = uuid4()
DAY_S = 86_400.0


@dataclass
class BusyModel:
    """A re-score of some essays, and a model that asks for a wait. During a call, the re-score can be discarded."""

    environment: WorkflowEnvironment
    queue: str
    asks_for_s: float = DAY_S
    essays: int = 1
    discards: bool = False
    status: RescoreStatus = RescoreStatus.COMPUTING
    calls: int = 0
    ends: list[BatchEnd] = field(default_factory=list)

    @activity.defn
    async def advance_rescore(self, key: RescoreKey) -> RescoreStep:
        if self.status is RescoreStatus.DISCARDING:
            self.status = RescoreStatus.DISCARDED
        if self.status is not RescoreStatus.COMPUTING:
            return RescoreStep(status=self.status)
        essays = tuple(
            EssayToRescore(rescore_id=key.rescore_id, assessment_id=uuid4(), essay=uuid4()) for _ in range(self.essays)
        )
        return RescoreStep(status=self.status, essays=essays, by_model=True, unfinished=self.essays)

    @activity.defn
    async def rescore_essay(self, essay: EssayToRescore) -> EssayProgress:
        self.calls += 1
        if self.discards and self.status is RescoreStatus.COMPUTING:
            self.status = RescoreStatus.DISCARDING
            await self.handle.signal(RescoreWorkflow.changed)
        raise ApplicationError(f"Busy: {essay.essay}", self.asks_for_s, type="ModelBusy", non_retryable=True)

    @activity.defn
    async def finish_rescore_batch(self, end: BatchEnd) -> None:
        self.ends.append(end)
        if end.stop_reason:
            self.status = RescoreStatus.STOPPED

    @property
    def handle(self) -> WorkflowHandle[RescoreWorkflow, RescoreInput]:
        return self.environment.client.get_workflow_handle_for(RescoreWorkflow.run, f"rescore-{RESCORE}{self.queue}")

    async def run(self) -> tuple[RescoreStatus, timedelta]:
        """Run the re-score. Return its status at the end and how long it took."""
        started = await self.environment.client.start_workflow(
            RescoreWorkflow.run, RescoreInput(rescore_id=RESCORE), id=self.handle.id, task_queue=self.queue
        )
        result = await started.result()
        first = self.environment.client.get_workflow_handle(started.id, run_id=started.first_execution_run_id)
        ended = (await self.handle.describe()).close_time
        assert ended is not None
        return result.status, ended - (await first.describe()).start_time


@pytest.fixture
async def model(environment: WorkflowEnvironment) -> AsyncIterator[BusyModel]:
    suffix = f"-{uuid4()}"
    busy = BusyModel(environment, Queue.ASSESSMENTS + suffix)
    client = environment.client
    async with (
        Worker(
            client,
            task_queue=Queue.ASSESSMENTS + suffix,
            workflows=[RescoreWorkflow],
            workflow_runner=STRICT,
            activities=[busy.advance_rescore],
        ),
        Worker(client, task_queue=Queue.LLM + suffix, activities=[busy.rescore_essay]),
        Worker(client, task_queue=Queue.EMBEDDINGS + suffix, activities=[busy.finish_rescore_batch]),
    ):
        yield busy


@pytest.mark.parametrize(("asks_for_s", "calls"), [(60.0, 30), (900.0, 2), (DAY_S, 1)])
async def test_an_essay_waits_for_the_model_for_half_an_hour(model: BusyModel, asks_for_s: float, calls: int) -> None:
    model.asks_for_s = asks_for_s

    _, took = await model.run()

    assert took <= timedelta(minutes=31)
    assert model.calls == calls
    assert [end.stop_reason for end in model.ends] == [DegradedReason.ESSAY_GRADER_LOCAL]


async def test_a_discarded_rescore_does_not_wait_for_the_model(model: BusyModel) -> None:
    model.discards, model.asks_for_s, model.essays = True, 900.0, 3 * ESSAYS_AT_ONCE

    status, took = await model.run()

    assert status is RescoreStatus.DISCARDED
    assert took < timedelta(minutes=1)
    assert model.calls <= ESSAYS_AT_ONCE
    assert [end.stop_reason for end in model.ends] == [None]
