"""What the Web UI shows of a run while it is under way."""

from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowFailureError

from domain.errors import CorruptData, ModelCircuitOpen
from tests.workflows.scripted import WorkflowHarness
from tests.workflows.test_essays import failing
from tests.workflows.test_revision import HEAL
from workflows.progress import REVISION_STAGES, STAGES, Progress, Stage, checklist
from workflows.revision import RevisionWorkflow


@pytest.mark.parametrize("stage", [*STAGES, Stage.FAILED])
def test_every_stage_shows_the_operators_action(stage: Stage) -> None:
    assert "Action: " in checklist(Progress(stage=stage))


def test_a_revision_that_waits_says_what_failed_last_and_when_it_is_tried_again() -> None:
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


async def test_a_revision_remembers_its_last_failure_in_the_words_of_who_failed(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL] * 2
    harness.activities.script["score_essay"] = failing(lambda: ModelCircuitOpen("Left alone"), times=1)
    handle = await harness.revise()

    await handle.result()

    progress = await handle.query(RevisionWorkflow.progress)
    assert (progress.last_failure or "").startswith("score_essay: ModelCircuitOpen: EXTERNAL_SERVICE_502: Left alone. ")


async def test_a_healing_that_failed_says_how_it_goes_on(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL]
    harness.activities.script["publish_result"] = failing(lambda: CorruptData("Bad row"))

    with pytest.raises(WorkflowFailureError) as failed:
        await (await harness.revise()).result()

    assert "publish_result: CorruptData: CORRUPT_DATA_500: Bad row. " in str(failed.value.cause)
    assert "/retry." in str(failed.value.cause)
