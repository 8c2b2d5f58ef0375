"""An assessment through every step on real servers, also with failures.

After each test the fixture `pipeline` searches all histories and logs for texts of the learner.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, update
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.ports import JobKey
from domain.assessments.steps import Step
from domain.errors import ExternalServiceError
from domain.grading.rubrics import Essay
from domain.grading.scores import DegradedReason, EssayScore
from persistence.tables import AsyncJobRow, UserRow
from tests.support.fake_graders import FakeEssayGrader
from tests.support.fakes import FailingDatabase
from tests.workflows.pipeline import MARKER, ONE_RESULT, Pipeline, history_bytes, outcome
from tests.workflows.scripted import Handle
from tests.workflows.waiting import eventually
from workflows.assessment import AssessmentOutcome, AssessmentWorkflow
from workflows.engine import search_attributes
from workflows.engine.assessment_runs import workflow_id

MINUTE_AGO = datetime.now(UTC) - timedelta(minutes=1)
COMPLETED = AssessmentOutcome(
    status=AssessmentStatus.COMPLETED, revision=1, degraded_reasons=("essay_grader_not_configured",)
)
# A third above the size of a run with two essays that started before its submission: 48 events, 8 KiB.
MAX_EVENTS = 60
MAX_BYTES = 11 * 1024


class FailingGrader(FakeEssayGrader):
    """Fails `times` with an error that quotes the essays' texts."""

    def __init__(self, kind: type[Exception], times: int = 1_000_000) -> None:
        self.kind = kind
        self.left = times

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        self.left -= 1
        if self.left >= 0:
            raise self.kind("Away" if self.kind is ExternalServiceError else essays[0].text)
        return await super().grade(essays)


class PoisonedGrader(FakeEssayGrader):
    """Fails with an error that quotes the text whenever it grades the essay with the lowest id."""

    def __init__(self) -> None:
        self.poison: UUID | None = None

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        self.poison = self.poison or min(essay.snapshot_id for essay in essays)
        for essay in essays:
            if essay.snapshot_id == self.poison:
                raise ValueError(essay.text)
        return await super().grade(essays)


class StuckGrader(FakeEssayGrader):
    """Never returns from the first batch."""

    def __init__(self) -> None:
        self.batches: list[list[UUID]] = []
        self.stuck = asyncio.Event()

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        self.batches.append([essay.snapshot_id for essay in essays])
        if len(self.batches) == 1:
            self.stuck.set()
            await asyncio.Event().wait()
        return await super().grade(essays)


async def failure_of(handle: Handle) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as failure:
        await outcome(handle)
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


async def corrupt_evidence(pipeline: Pipeline, assessment: Assessment) -> None:
    """Replace a stored output by an invalid one."""
    key = JobKey(assessment_id=assessment.id, run=1, revision=1, step=Step.RETRIEVE_EVIDENCE)
    row = {
        "id": key.id,
        "assessment_id": assessment.id,
        "run": 1,
        "revision": 1,
        "job_type": "retrieve_evidence",
        "status": "succeeded",
        "payload": {"gaps": MARKER},
    }
    async with pipeline.sessions() as session:
        await session.execute(insert(AsyncJobRow).values(**row))
        await session.commit()


async def test_a_submission_starts_the_run_that_makes_the_result(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        assert await outcome(await pipeline.submit(assessment)) == COMPLETED

    row = await pipeline.row(assessment)
    assert (row.status, row.revision, row.degraded) == (AssessmentStatus.COMPLETED, 1, True)
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_a_submitted_assessment_gets_its_result(pipeline: Pipeline) -> None:
    """An earlier release started the run together with the assessment."""
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        handle = await pipeline.start(assessment)
        await pipeline.submit(assessment)

        assert await outcome(handle) == COMPLETED

    row = await pipeline.row(assessment)
    assert (row.status, row.revision, row.degraded) == (AssessmentStatus.COMPLETED, 1, True)
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_an_assessments_history_is_small(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        handle = await pipeline.submit(assessment)
        await outcome(handle)

    history = await handle.fetch_history()
    assert len(history.events) <= MAX_EVENTS
    assert len(await history_bytes(handle)) <= MAX_BYTES


async def test_an_expired_assessment_with_answers_gets_its_result(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment(expires_at=MINUTE_AGO)
    async with pipeline.workers():
        assert await outcome(await pipeline.start(assessment)) == COMPLETED

    assert await pipeline.published(assessment) == ONE_RESULT


async def test_an_expired_assessment_without_answers_fails(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment(answered=False, expires_at=MINUTE_AGO)
    async with pipeline.workers():
        assert await outcome(await pipeline.start(assessment)) == AssessmentOutcome(status=AssessmentStatus.FAILED)

    row = await pipeline.row(assessment)
    assert (row.status, row.failure_reason) == (AssessmentStatus.FAILED, "expired")


async def test_an_output_that_is_corrupt_fails_the_assessment(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment()
    await corrupt_evidence(pipeline, assessment)
    async with pipeline.workers():
        failure = await failure_of(await pipeline.submit(assessment))

    row = await pipeline.row(assessment)
    assert failure.type == "AssessmentFailed"
    assert failure.message.startswith("retrieve_evidence: CorruptData: ")
    assert failure.message.endswith(f"Action: fix the cause, then POST /api/v1/assessments/{assessment.id}/rerun.")
    assert (row.status, row.failure_reason) == (AssessmentStatus.FAILED, "CorruptData")


async def test_a_rerun_of_a_failed_assessment_gets_its_result(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment()
    await corrupt_evidence(pipeline, assessment)
    async with pipeline.workers():
        await failure_of(await pipeline.submit(assessment))

        assert await outcome(await pipeline.rerun(assessment)) == COMPLETED

    row = await pipeline.row(assessment)
    assert (row.status, row.run) == (AssessmentStatus.COMPLETED, 2)


async def test_an_essay_that_alone_raises_an_error_is_left_to_a_reviewer(pipeline: Pipeline) -> None:
    pipeline.grader = PoisonedGrader()
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        ended = await outcome(await pipeline.submit(assessment))

    assert ended.status is AssessmentStatus.COMPLETED
    assert DegradedReason.GRADER_FAILED in ended.degraded_reasons
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_a_finished_run_that_is_reset_to_any_point_still_shows_its_result(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment()
    client, id_ = pipeline.client, workflow_id(assessment.id)
    async with pipeline.workers():
        handle = await pipeline.submit(assessment)
        await outcome(handle)
        before = await pipeline.row(assessment)
        events = (await handle.fetch_history()).events
        points = [each.event_id for each in events if each.HasField("workflow_task_completed_event_attributes")]
        shown = []
        for point in points:
            reset = await client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=id_, run_id=handle.result_run_id or ""),
                    reason="A test",
                    workflow_task_finish_event_id=point,
                    request_id=str(uuid4()),
                )
            )
            again: Handle = client.get_workflow_handle_for(AssessmentWorkflow.run, id_, run_id=reset.run_id)
            pipeline.executions.add((id_, reset.run_id))
            ended = await outcome(again)
            status = (await again.describe()).typed_search_attributes.get(search_attributes.ASSESSMENT_STATUS)
            shown.append((ended.status, status))

    assert len(points) == 5
    assert shown == [(AssessmentStatus.COMPLETED, AssessmentStatus.COMPLETED)] * len(points)
    assert await pipeline.row(assessment) == before
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_an_outage_of_the_model_delays_the_result(pipeline: Pipeline) -> None:
    pipeline.grader = FailingGrader(ExternalServiceError, times=2)
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        assert await outcome(await pipeline.submit(assessment)) == COMPLETED

    assert await pipeline.published(assessment) == ONE_RESULT


async def test_an_outage_of_the_database_delays_the_result(pipeline: Pipeline) -> None:
    database = FailingDatabase(pipeline.database, [True] * 4)
    assessment = await pipeline.assessment()
    async with pipeline.workers(database):
        assert await outcome(await pipeline.submit(assessment)) == COMPLETED

    assert not database.failures
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_another_worker_continues_after_one_stopped(pipeline: Pipeline) -> None:
    pipeline.grader = grader = StuckGrader()
    assessment = await pipeline.assessment()
    async with pipeline.workers(grace_s=0):
        handle = await pipeline.submit(assessment)
        await asyncio.wait_for(grader.stuck.wait(), timeout=60)
    async with pipeline.workers():
        assert await outcome(handle) == COMPLETED

    assert len(grader.batches) == 2
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_submitting_twice_gives_one_result(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment()
    first = await pipeline.submit(assessment)
    second = await pipeline.signal(assessment)
    async with pipeline.workers():
        assert await outcome(first) == COMPLETED

    assert second.run_id == first.run_id
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_a_submission_that_comes_after_the_result_changes_nothing(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        await outcome(await pipeline.submit(assessment))
        late = await pipeline.signal(assessment)

        assert await outcome(late) == AssessmentOutcome(status=AssessmentStatus.COMPLETED)

    assert len(pipeline.executions) == 2
    assert await pipeline.published(assessment) == ONE_RESULT


async def test_nothing_is_written_about_a_person_who_is_being_erased(pipeline: Pipeline) -> None:
    assessment = await pipeline.assessment(status="awaiting_async", submitted_at=MINUTE_AGO)
    async with pipeline.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == assessment.user_id).values(status="erasing"))
        await session.commit()
    async with pipeline.workers():
        await failure_of(await pipeline.signal(assessment))

    async with pipeline.sessions() as session:
        jobs = await session.scalar(select(func.count()).where(AsyncJobRow.assessment_id == assessment.id))
    assert jobs == 0
    assert not any((await pipeline.published(assessment)).values())


async def test_a_cancelled_run_leaves_the_assessment_to_reconciliation(pipeline: Pipeline) -> None:
    pipeline.grader = grader = StuckGrader()
    assessment = await pipeline.assessment()
    async with pipeline.workers(grace_s=0):
        handle = await pipeline.submit(assessment)
        await asyncio.wait_for(grader.stuck.wait(), timeout=60)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await outcome(handle)

    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert (await pipeline.row(assessment)).status is AssessmentStatus.AWAITING_ASYNC


async def test_the_search_for_texts_of_learners_finds_them(pipeline: Pipeline, logged: Callable[[], str]) -> None:
    """Test the search itself: without this test, the others might search the wrong places."""
    pipeline.grader = FailingGrader(ValueError)
    assessment = await pipeline.assessment()
    async with pipeline.workers():
        handle = await pipeline.submit(assessment)

        async def has_failed() -> bool:
            return b"ValueError" in (await handle.describe()).raw_description.SerializeToString()

        await eventually(has_failed, expected=True)
        (execution,) = pipeline.executions
        recorded, logs = await pipeline.recorded(*execution), logged()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await outcome(handle)

    assert f'"assessment_id":"{assessment.id}"'.encode() in recorded  # a payload
    assert b"ValueError: a bug or unexpected data" in recorded  # a failure
    assert str(assessment.organization_id).encode() in recorded  # a search attribute
    assert "'event': 'activity_failed'" in logs  # structlog
    assert "completing activity as failed" in logs  # logging
