"""The current details of a run in the Web UI."""

from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowFailureError

from domain.errors import CorruptData, ModelCircuitOpen
from tests.workflows.scripted import WorkflowHarness
from tests.workflows.test_essays import failing
from tests.workflows.test_revision import HEAL
from workflows.assessment import AssessmentWorkflow
from workflows.progress import REVISION_STAGES, STAGES, Progress, Stage, checklist
from workflows.revision import RevisionWorkflow


@pytest.mark.parametrize("stage", [*STAGES, Stage.FAILED])
def test_every_stage_shows_the_operators_action(stage: Stage) -> None:
    assert "Action: " in checklist(Progress(stage=stage))


def test_a_waiting_revision_shows_the_last_failure_and_the_next_attempt() -> None:
    waits = Progress(
        stage=Stage.WAITING,
        last_failure="score_essay: ModelKeyRefused",
        next_attempt=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        gives_up=datetime(2026, 3, 7, tzinfo=UTC),
    )

    shown = checklist(waits, REVISION_STAGES)

    assert "- [ ] waiting **← now**" in shown
    assert "Last failure: score_essay: ModelKeyRefused" in shown
    assert "Next attempt: 2026-03-01 12:30:00 UTC. Healing ends: 2026-03-07 00:00:00 UTC" in shown
    assert "Send `retry_degraded`" in shown


@pytest.mark.parametrize(
    ("needs_review", "awaited"), [(True, "to review the doubtful essays"), (False, "an advisor to release it")]
)
def test_a_held_result_shows_who_is_awaited(*, needs_review: bool, awaited: str) -> None:
    shown = checklist(Progress(stage=Stage.DONE, held=True, needs_review=needs_review))

    assert "**Held** when it was published" in shown
    assert awaited in shown


async def test_the_outcome_of_a_run_says_that_the_result_was_held(harness: WorkflowHarness) -> None:
    harness.activities.held = True
    handle = await harness.start()

    outcome = await handle.result()

    assert outcome.held
    assert (await handle.query(AssessmentWorkflow.progress)).held


async def test_a_revision_shows_the_message_of_the_last_failure(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL] * 2
    harness.activities.script["score_essay"] = failing(lambda: ModelCircuitOpen("Left alone"), times=1)
    handle = await harness.revise()

    await handle.result()

    progress = await handle.query(RevisionWorkflow.progress)
    assert (progress.last_failure or "").startswith("score_essay: ModelCircuitOpen: EXTERNAL_SERVICE_502: Left alone. ")


async def test_a_failed_healing_names_the_request_that_retries_it(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL]
    harness.activities.script["blend_recommendations"] = failing(lambda: CorruptData("Bad row"))

    with pytest.raises(WorkflowFailureError) as failed:
        await (await harness.revise()).result()

    assert "blend_recommendations: CorruptData: CORRUPT_DATA_500: Bad row. " in str(failed.value.cause)
    assert "/retry." in str(failed.value.cause)
