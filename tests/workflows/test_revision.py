"""`RevisionWorkflow` improves a published result, with scripted activities and time skipping."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from activities.begin_revision import EssayToRegrade, RevisionPlan
from activities.retrieve_evidence import EvidenceResult
from activities.score_essay import EssayOutcome, EssayProgress
from domain.assessments.lifecycle import Healing
from domain.errors import AppError, Conflict, CorruptData, GraderFailed, ModelCircuitOpen, NotFound
from domain.grading.scores import DegradedReason
from tests.workflows.scripted import WorkflowHarness
from tests.workflows.test_essays import failing
from workflows.policies import EPOCHS, HEALING_ENDS_AFTER, HEALING_FIRST
from workflows.revision import RevisionWorkflow

ESSAY = EssayToRegrade(essay=uuid4(), epoch=0)
WAITING = RevisionPlan(run=1, revision=2, healing=True)
HEAL = RevisionPlan(run=1, revision=2, healing=True, essays=(ESSAY,))
REVIEW = RevisionPlan(run=1, revision=2, reviews=True)
DEGRADED = EvidenceResult(gaps=3, traces=30, degraded_reasons=("vector_store_fallback",))
UNSCORABLE = EssayProgress(outcome=EssayOutcome.UNSCORABLE)


async def test_a_degraded_essay_is_graded_after_the_first_pause_and_published(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL]
    before = await harness.environment.get_current_time()

    outcome = await (await harness.revise()).result()

    assert (outcome.revision, outcome.healing) == (2, Healing.NONE)
    assert await harness.environment.get_current_time() - before >= HEALING_FIRST
    assert [wanted.essay for wanted in harness.activities.bought] == [ESSAY.essay]
    assert harness.activities.calls.count("blend_recommendations") == 1


async def test_essays_are_graded_one_after_the_other(harness: WorkflowHarness) -> None:
    harness.activities.plans = [replace(HEAL, essays=(ESSAY, EssayToRegrade(essay=uuid4(), epoch=0)))]

    handle = await harness.revise()
    await handle.result()

    events = (await handle.fetch_history()).events
    scheduled = [
        event.event_id
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "score_essay"
    ]
    first_completed = next(
        event.event_id
        for event in events
        if event.activity_task_completed_event_attributes.scheduled_event_id == scheduled[0]
    )
    assert first_completed < scheduled[1]


async def test_a_wait_that_the_provider_asked_for_comes_before_the_first_attempt(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL]
    before = await harness.environment.get_current_time()

    await (await harness.revise(retry_after_s=7200)).result()

    assert await harness.environment.get_current_time() - before >= timedelta(hours=2)


async def test_the_signal_heals_at_once(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL]

    await (await harness.revise(signal="retry_degraded", retry_after_s=10**6)).result()

    assert [wish.heal for wish in harness.activities.wishes] == [True, False]


async def test_an_attempt_without_improvement_publishes_nothing_and_is_repeated(
    harness: WorkflowHarness,
) -> None:
    harness.activities.plans = [HEAL] * 3
    harness.activities.script["score_essay"] = failing(lambda: ModelCircuitOpen("Open"), times=2)
    before = await harness.environment.get_current_time()

    outcome = await (await harness.revise()).result()

    assert outcome.revision == 2
    assert harness.activities.calls.count("blend_recommendations") == 1
    assert await harness.environment.get_current_time() - before >= (1 + 2 + 4) * HEALING_FIRST


async def test_evidence_that_is_still_degraded_is_not_published_again(harness: WorkflowHarness) -> None:
    harness.activities.plans = [RevisionPlan(run=1, revision=2, healing=True, evidence=True)]
    harness.activities.evidence = DEGRADED

    outcome = await (await harness.revise()).result()

    assert outcome.revision == 0
    assert "blend_recommendations" not in harness.activities.calls


async def test_a_healed_essay_is_published_even_if_the_evidence_is_still_degraded(harness: WorkflowHarness) -> None:
    harness.activities.plans = [RevisionPlan(run=1, revision=2, healing=True, essays=(ESSAY,), evidence=True)]
    harness.activities.evidence = DEGRADED

    assert (await (await harness.revise()).result()).revision == 2


async def test_rejected_completions_are_requested_again_in_a_limited_number_of_epochs(harness: WorkflowHarness) -> None:
    epochs = [0, 0, 1, 2, 3, 4]  # the last paid one, according to the ledger
    harness.activities.plans = [replace(HEAL, essays=(replace(ESSAY, epoch=epoch),)) for epoch in epochs]
    harness.activities.progress = [UNSCORABLE] * 10

    outcome = await (await harness.revise()).result()

    assert [wanted.epoch for wanted in harness.activities.bought] == list(range(EPOCHS))
    assert outcome.healing is Healing.FINAL
    assert [(end.healing, end.reason) for end in harness.activities.ends] == [(Healing.FINAL, None)]


@pytest.mark.parametrize("reason", [DegradedReason.ESSAY_REFUSED_BY_PROVIDER, DegradedReason.ESSAY_TOO_LONG_FOR_MODEL])
async def test_an_essay_that_the_model_can_never_grade_goes_to_a_reviewer_and_is_not_retried(
    harness: WorkflowHarness, reason: DegradedReason
) -> None:
    harness.activities.plans = [HEAL]
    harness.activities.progress = [EssayProgress(outcome=EssayOutcome.UNSCORABLE, reason=reason)]

    outcome = await (await harness.revise()).result()

    assert (outcome.revision, outcome.healing) == (2, Healing.NONE)
    assert [(left.essay, left.reason) for left in harness.activities.left] == [(ESSAY.essay, reason)]
    assert len(harness.activities.bought) == 1


async def test_an_essay_that_no_grader_can_grade_is_tried_once_and_keeps_its_score(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL] * 3
    harness.activities.script["score_essay"] = failing(lambda: GraderFailed("It crashed"))

    outcome = await (await harness.revise()).result()

    assert outcome.healing is Healing.FINAL
    assert harness.activities.calls.count("score_essay") == 1
    assert "blend_recommendations" not in harness.activities.calls


async def test_healing_is_given_up_after_seven_days(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL] * 1000
    harness.activities.script["score_essay"] = failing(lambda: ModelCircuitOpen("Open"))
    before = await harness.environment.get_current_time()

    handle = await harness.revise()
    outcome = await handle.result()

    assert outcome.healing is Healing.FINAL
    assert await harness.environment.get_current_time() - before >= HEALING_ENDS_AFTER
    assert len((await handle.fetch_history()).events) < 5_000


async def test_a_review_is_published_at_once_without_paid_calls(harness: WorkflowHarness) -> None:
    harness.activities.plans = [REVIEW]

    outcome = await (await harness.revise(signal="reviewed", retry_after_s=10**6)).result()

    assert (outcome.revision, harness.activities.bought) == (2, [])
    assert harness.activities.calls.count("blend_recommendations") == 1


async def test_a_review_does_not_advance_the_next_healing(harness: WorkflowHarness) -> None:
    harness.activities.plans = [REVIEW, WAITING, HEAL]
    before = await harness.environment.get_current_time()

    await (await harness.revise(signal="reviewed", retry_after_s=3600)).result()

    assert [wish.heal for wish in harness.activities.wishes] == [False, False, True, False]
    assert await harness.environment.get_current_time() - before >= timedelta(hours=1)


async def test_an_internal_error_stops_healing_with_its_reason(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL]
    harness.activities.script["score_essay"] = failing(lambda: CorruptData("No such essay"))

    handle = await harness.revise()
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    assert [(end.healing, end.reason) for end in harness.activities.ends] == [(Healing.STOPPED, "CorruptData")]
    assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED


@pytest.mark.parametrize("error", [NotFound, Conflict])
async def test_an_unknown_result_ends_the_run_without_a_record(harness: WorkflowHarness, error: type[AppError]) -> None:
    harness.activities.script["begin_revision"] = failing(lambda: error("No such revision"))

    with pytest.raises(WorkflowFailureError):
        await (await harness.revise()).result()

    assert harness.activities.ends == []


async def test_a_waiting_run_shows_its_next_attempt(harness: WorkflowHarness) -> None:
    handle = await harness.revise()

    assert (await handle.query(RevisionWorkflow.progress)).last_failure is None
    await handle.result()


async def test_the_run_of_a_degraded_assessment_starts_its_revision_workflow(harness: WorkflowHarness) -> None:
    harness.activities.heals = True
    harness.activities.plans = [HEAL]

    handle = await harness.start()
    await handle.result()

    events = (await handle.fetch_history()).events
    started = [event.child_workflow_execution_started_event_attributes for event in events]
    assert [each.workflow_type.name for each in started if each.workflow_type.name] == ["RevisionWorkflow"]
