"""Erasing a user on real servers, also during runs about the user.

After each test the fixture `pipeline` searches all histories and logs for texts of the learner.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from domain.assessments.lifecycle import Assessment
from domain.errors import ModelKeyRefused
from domain.grading.ledger import Completion
from domain.grading.model_grading import GradingRequest
from domain.grading.rubrics import Essay
from domain.grading.scores import EssayScore
from domain.privacy import Erasure
from domain.webhooks.deliveries import DAY_S, Message, WebhookResponse
from persistence.repositories.export import Exports
from persistence.tables import UserRow, WebhookDeliveryRow, WebhookEventRow
from tests.support.appeals import COMPLETED, an_appeal
from tests.support.builders import an_assessment
from tests.support.fake_graders import FakeEssayGrader, FakeGradingModel
from tests.support.fakes import ScriptedSender, answer
from tests.support.partners import an_endpoint
from tests.workflows.pipeline import MARKED, Pipeline, outcome
from tests.workflows.waiting import PATIENCE_S, eventually
from workflows.appeal import workflow_id as appeal_workflow_id
from workflows.engine import search_attributes
from workflows.engine.appeal_runs import TemporalAppealRuns
from workflows.engine.assessment_runs import revision_workflow_id
from workflows.engine.assessment_runs import workflow_id as assessment_workflow_id
from workflows.engine.erasure_runs import TemporalErasureRuns, workflow_id
from workflows.engine.worker_settings import WorkerSettings
from workflows.engine.workers import webhooks_worker
from workflows.policies import Queue
from workflows.user_erasure import ErasureResult, UserErasureWorkflow

TERMINATED = WorkflowExecutionStatus.TERMINATED


class HeldGrader(FakeEssayGrader):
    """Blocks until the test releases the scores."""

    def __init__(self) -> None:
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        self.asked.set()
        await self.free.wait()
        return await super().grade(essays)


class HeldModel(FakeGradingModel):
    """Blocks the paid completions until the test releases them."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.free = asyncio.Event(), asyncio.Event()

    async def complete(self, wanted: GradingRequest) -> Completion:
        self.reached.set()
        await self.free.wait()
        return await super().complete(wanted)


async def erase(pipeline: Pipeline, assessment: Assessment) -> ErasureResult:
    """Commit first, then start the run, as the API does."""
    async with pipeline.database.transaction() as uow:
        erasure = await uow.erasures.begin(
            assessment.user_id,
            organization_id=assessment.organization_id,
            actor_id=assessment.user_id,
            actor_role="student",
        )
        await uow.commit()
    return await run(pipeline, erasure)


async def run(pipeline: Pipeline, erasure: Erasure) -> ErasureResult:
    await erasure_runs(pipeline).start(erasure)
    handle: WorkflowHandle[UserErasureWorkflow, ErasureResult] = pipeline.client.get_workflow_handle_for(
        UserErasureWorkflow.run, workflow_id(erasure.id)
    )
    pipeline.executions.add((handle.id, None))
    async with asyncio.timeout(PATIENCE_S):
        return await handle.result()


def erasure_runs(pipeline: Pipeline) -> TemporalErasureRuns:
    return TemporalErasureRuns(pipeline.client, Queue.ASSESSMENTS + pipeline.suffix, PATIENCE_S)


async def left(engine: AsyncEngine, user_id: UUID) -> list[str]:
    """The tables that still hold texts of the learner. The questions are marked, too."""
    document = json.loads(b"".join([piece async for piece in Exports(engine).document(user_id)]))
    del document["assessment_question_snapshots"]
    return [name for name, rows in document.items() if any(each in json.dumps(rows) for each in MARKED)]


async def status_of(pipeline: Pipeline, id_: str) -> WorkflowExecutionStatus | None:
    """The status of a run; None without a run, also after its deletion."""
    try:
        return (await pipeline.client.get_workflow_handle(id_).describe()).status
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None


async def assert_deleted(pipeline: Pipeline, id_: str) -> None:
    await eventually(lambda: status_of(pipeline, id_), None)


async def account(pipeline: Pipeline, user_id: UUID) -> str | None:
    async with pipeline.sessions() as session:
        return await session.scalar(select(UserRow.status).where(UserRow.id == user_id))


async def assert_forgotten(pipeline: Pipeline, engine: AsyncEngine, assessment: Assessment) -> None:
    assert await left(engine, assessment.user_id) == []
    assert await account(pipeline, assessment.user_id) == "erased"
    assert pipeline.erased == [assessment.user_id]


async def test_a_user_with_a_result_is_erased(pipeline: Pipeline, pipeline_engine: AsyncEngine) -> None:
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await outcome(await pipeline.submit(assessment))
        assert await left(pipeline_engine, assessment.user_id) != []

        assert await erase(pipeline, assessment) == ErasureResult(assessments=1)

    await assert_forgotten(pipeline, pipeline_engine, assessment)
    await assert_deleted(pipeline, assessment_workflow_id(assessment.id))


async def test_a_running_assessment_ends_and_its_writes_are_rejected(
    pipeline: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    pipeline.grader = grader = HeldGrader()
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await pipeline.submit(assessment)
        await grader.asked.wait()

        await erase(pipeline, assessment)
        grader.free.set()

    await assert_deleted(pipeline, assessment_workflow_id(assessment.id))
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_a_completion_during_the_erasure_is_not_stored(pipeline: Pipeline, pipeline_engine: AsyncEngine) -> None:
    pipeline.model = model = HeldModel()
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await pipeline.submit(assessment)
        await model.reached.wait()

        await erase(pipeline, assessment)
        model.free.set()

    await assert_deleted(pipeline, assessment_workflow_id(assessment.id))
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_a_student_whose_assessment_has_no_run_is_erased(
    pipeline: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await erase(pipeline, assessment)

    assert (await pipeline.row(assessment)).failure_reason == "erased"
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_a_student_who_is_answering_is_erased(pipeline: Pipeline, pipeline_engine: AsyncEngine) -> None:
    """An earlier release started the run together with the assessment."""
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await pipeline.start(assessment)

        await erase(pipeline, assessment)

    await assert_deleted(pipeline, assessment_workflow_id(assessment.id))
    assert (await pipeline.row(assessment)).failure_reason == "erased"
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_a_running_healing_ends(pipeline: Pipeline, pipeline_engine: AsyncEngine) -> None:
    pipeline.model = FakeGradingModel(*[ModelKeyRefused("The provider refuses the API key")] * 2)
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        assert (await outcome(await pipeline.submit(assessment))).revision == 1
        healer = revision_workflow_id(assessment.id)
        pipeline.executions.add((healer, None))
        assert await status_of(pipeline, healer) is WorkflowExecutionStatus.RUNNING

        await erase(pipeline, assessment)

    await assert_deleted(pipeline, healer)
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_a_healing_that_waits_for_a_completion_ends_without_it(
    pipeline: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    pipeline.model = FakeGradingModel(*[ModelKeyRefused("The provider refuses the API key")] * 2)
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await outcome(await pipeline.submit(assessment))
    pipeline.model = model = HeldModel()
    async with pipeline.workers():
        await pipeline.runs.heal_now(assessment)
        await model.reached.wait()
        await erase(pipeline, assessment)
        model.free.set()

    await assert_deleted(pipeline, revision_workflow_id(assessment.id))
    await assert_forgotten(pipeline, pipeline_engine, assessment)


@dataclass
class HeldSender(ScriptedSender):
    """A partner that blocks until the test releases the response, which quotes the request.

    It asks for a day without requests. The schedule of deliveries sends the next one after 5 s, perhaps before the
    test has erased the user.
    """

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> WebhookResponse:
        self.sent.append(message)
        self.asked.set()
        await self.free.wait()
        return answer(500, excerpt=f"No {MARKED[0]} here", retry_after_s=DAY_S)


@pytest.fixture
async def sender(pipeline: Pipeline) -> AsyncIterator[HeldSender]:
    sender = HeldSender()
    queue = Queue.WEBHOOKS + pipeline.suffix
    async with webhooks_worker(pipeline.client, pipeline.database, sender, WorkerSettings(grace_s=5), queue):
        yield sender


@pytest.mark.parametrize("answers", [0, 1])
async def test_a_running_delivery_ends(
    pipeline: Pipeline, pipeline_engine: AsyncEngine, sender: HeldSender, answers: int
) -> None:
    """Erase during the first request, and during the wait for the next attempt."""
    assessment = await pipeline.assessment()
    async with pipeline.sessions() as session:
        await an_endpoint(session, organization_id=assessment.organization_id)
        await session.commit()
    async with pipeline.workers():
        await outcome(await pipeline.submit(assessment))
        await sender.asked.wait()
        if answers:
            sender.free.set()
            await eventually(lambda: attempts(pipeline, assessment), [1])

        await erase(pipeline, assessment)
        sender.free.set()

    async with pipeline.database.transaction() as uow:
        assert await uow.erasures.pending_deliveries([assessment.id]) == ()
    assert await attempts(pipeline, assessment) == [answers]
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def attempts(pipeline: Pipeline, assessment: Assessment) -> list[int]:
    async with pipeline.sessions() as session:
        made = select(WebhookDeliveryRow.attempts).join(
            WebhookEventRow, WebhookEventRow.id == WebhookDeliveryRow.event_id
        )
        return list(await session.scalars(made.where(WebhookEventRow.assessment_id == assessment.id)))


async def test_the_run_of_an_appeal_ends_and_is_deleted(pipeline: Pipeline, pipeline_engine: AsyncEngine) -> None:
    async with pipeline.sessions() as session:
        assessment = await an_assessment(session, **COMPLETED)
        appeal = await an_appeal(session, assessment, reason=MARKED[0])
        await session.commit()
    async with pipeline.workers():
        await TemporalAppealRuns(pipeline.client, Queue.ASSESSMENTS + pipeline.suffix, PATIENCE_S).start(appeal)
        pipeline.executions.add((appeal_workflow_id(appeal.id), None))

        await erase(pipeline, assessment)

    await assert_deleted(pipeline, appeal_workflow_id(appeal.id))
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_a_run_that_does_not_end_is_terminated(pipeline: Pipeline) -> None:
    """No worker polls its queue, so the cancellation has no effect."""
    assessment = await pipeline.assessment()
    await pipeline.start(assessment)
    impatient = TemporalErasureRuns(pipeline.client, pipeline.suffix, PATIENCE_S, terminated_after_s=0.1)

    await impatient.stop([assessment.id], [])

    assert await status_of(pipeline, assessment_workflow_id(assessment.id)) is TERMINATED


async def test_a_run_that_is_started_afterwards_writes_nothing(
    pipeline: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await erase(pipeline, assessment)
        handle = await pipeline.signal(assessment)
        await eventually(
            lambda: status_of(pipeline, assessment_workflow_id(assessment.id)), WorkflowExecutionStatus.FAILED
        )

    assert handle.id == assessment_workflow_id(assessment.id)
    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_an_erasure_that_is_repeated_changes_nothing(pipeline: Pipeline, pipeline_engine: AsyncEngine) -> None:
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await erase(pipeline, assessment)
        again = Erasure(id=assessment.user_id, organization_id=assessment.organization_id)

        assert await run(pipeline, again) == ErasureResult(assessments=1)

    await assert_forgotten(pipeline, pipeline_engine, assessment)


async def test_an_unknown_erasure_changes_nothing_and_has_a_failure_reason(
    pipeline: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    assessment = await pipeline.assessment()
    erasure = Erasure(id=assessment.user_id, organization_id=assessment.organization_id)
    before = await left(pipeline_engine, assessment.user_id)
    async with pipeline.workers():
        with pytest.raises(WorkflowFailureError):
            await run(pipeline, erasure)

    found = await pipeline.client.get_workflow_handle(workflow_id(erasure.id)).describe()
    assert found.typed_search_attributes[search_attributes.FAILURE_REASON] == "NotFound"
    assert await account(pipeline, assessment.user_id) == "active"
    assert await left(pipeline_engine, assessment.user_id) == before != []
    assert pipeline.erased == []


async def test_a_live_erasure_is_known(pipeline: Pipeline) -> None:
    erasure = Erasure(id=UUID(int=7), organization_id=None)
    runs = erasure_runs(pipeline)
    await runs.start(erasure)
    await runs.start(erasure)

    await eventually(lambda: runs.live([erasure]), frozenset({erasure.id}))
    await pipeline.client.get_workflow_handle(workflow_id(erasure.id)).terminate()
