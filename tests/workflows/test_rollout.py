"""Runs that an earlier build started end on this build, and runs of this build survive a rollback.

The earlier build claims and publishes with activities of their own. `tests/benchmarks/test_rollout.py` does the same
under load with the script of the rollout.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.assessments.lifecycle import Assessment
from tests.benchmarks.later_builds import Earlier
from tests.workflows.pipeline import ONE_RESULT, Pipeline, outcome
from tests.workflows.scripted import Handle
from tests.workflows.test_pipeline import COMPLETED, StuckGrader
from tests.workflows.waiting import eventually
from workflows.assessment import AssessmentWorkflow
from workflows.engine.workers import WORKFLOWS
from workflows.policies import Queue

OLD_STEPS = [
    "claim_assessment",
    "score_rules",
    "score_essays_locally",
    "retrieve_evidence",
    "blend_recommendations",
    "publish_result",
]
NEW_STEPS = ["score_rules", "score_essays_locally", "retrieve_evidence", "blend_recommendations"]


@asynccontextmanager
async def earlier_build(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, *, grace_s: int = 5
) -> AsyncIterator[None]:
    registered = tuple(Earlier if each is AssessmentWorkflow else each for each in WORKFLOWS[Queue.ASSESSMENTS])
    with monkeypatch.context() as patch:
        patch.setitem(WORKFLOWS, Queue.ASSESSMENTS, registered)
        async with pipeline.workers(grace_s=grace_s):
            yield


async def submit(pipeline: Pipeline) -> tuple[Assessment, Handle]:
    assessment = await pipeline.assessment()
    return assessment, await pipeline.submit(assessment)


async def steps(handle: Handle) -> list[str]:
    """The activities of the run, in order."""
    scheduled = [each.activity_task_scheduled_event_attributes for each in (await handle.fetch_history()).events]
    return [each.activity_type.name for each in scheduled if each.activity_type.name]


async def test_runs_of_an_earlier_build_end_on_this_build_while_new_runs_start(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.grader = grader = StuckGrader()
    async with earlier_build(pipeline, monkeypatch, grace_s=0):
        old, old_run = await submit(pipeline)
        await asyncio.wait_for(grader.stuck.wait(), timeout=60)
    async with pipeline.workers():
        new, new_run = await submit(pipeline)

        assert [await outcome(old_run), await outcome(new_run)] == [COMPLETED, COMPLETED]

    assert (await steps(old_run), await steps(new_run)) == (OLD_STEPS, NEW_STEPS)
    assert [await pipeline.published(each) for each in (old, new)] == [ONE_RESULT, ONE_RESULT]


async def test_a_run_of_this_build_waits_during_a_rollback_and_then_ends(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.grader = grader = StuckGrader()
    async with pipeline.workers(grace_s=0):
        new, new_run = await submit(pipeline)
        await asyncio.wait_for(grader.stuck.wait(), timeout=60)

    async def has_failed() -> bool:
        described = (await new_run.describe()).raw_description
        return described.pending_workflow_task.attempt > 1

    async with earlier_build(pipeline, monkeypatch):
        old, old_run = await submit(pipeline)
        assert await outcome(old_run) == COMPLETED
        await eventually(has_failed, expected=True)
    async with pipeline.workers():
        assert await outcome(new_run) == COMPLETED

    assert (await steps(old_run), await steps(new_run)) == (OLD_STEPS, NEW_STEPS)
    assert [await pipeline.published(each) for each in (old, new)] == [ONE_RESULT, ONE_RESULT]
