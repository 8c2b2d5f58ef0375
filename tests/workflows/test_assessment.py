"""The steps of `AssessmentWorkflow`, with scripted activities and time skipping."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.claim_assessment import Claim, ClaimOutcome
from activities.failures import UNEXPECTED_ATTEMPTS
from activities.mark_failed import NO_RUN
from domain.assessments.lifecycle import AssessmentStatus
from domain.errors import Conflict, CorruptData, NotFound, StorageUnavailable
from tests.workflows.pipeline import history_bytes
from tests.workflows.scripted import Handle, WorkflowHarness
from tests.workflows.waiting import eventually
from workflows.assessment import AssessmentOutcome, AssessmentWorkflow
from workflows.engine import search_attributes
from workflows.progress import Progress, Stage, checklist

FINISHED = Claim(outcome=ClaimOutcome.FINISHED, status=AssessmentStatus.COMPLETED)


def failing(error: Exception, times: int = 1_000_000) -> Callable[[], None]:
    left = [times]

    def act() -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error

    return act


async def shown_status(handle: Handle) -> str | None:
    """The status that the Web UI shows as a search attribute."""
    return (await handle.describe()).typed_search_attributes.get(search_attributes.ASSESSMENT_STATUS)


async def test_a_submitted_assessment_goes_through_every_step_once(harness: WorkflowHarness) -> None:
    handle = await harness.start()

    outcome = await handle.result()

    assert outcome.status is AssessmentStatus.COMPLETED
    assert harness.activities.calls == [
        "score_rules",
        "score_essays_locally",
        "retrieve_evidence",
        "blend_recommendations",
    ]


async def test_evidence_waits_for_all_scores(harness: WorkflowHarness) -> None:
    await (await harness.start()).result()

    order = harness.activities.calls
    assert order.index("retrieve_evidence") > max(order.index("score_rules"), order.index("score_essays_locally"))


async def test_an_assessment_without_essays_calls_no_grader(harness: WorkflowHarness) -> None:
    harness.activities.claims = [replace(harness.activities.claims[0], essays=())]

    await (await harness.start()).result()

    assert "score_essays_locally" not in harness.activities.calls


async def test_a_closed_run_claims_no_pending_review_because_it_could_not_withdraw_it(harness: WorkflowHarness) -> None:
    harness.activities.needs_review = True
    handle = await harness.start()
    await handle.result()

    attributes = (await handle.describe()).typed_search_attributes

    assert attributes[search_attributes.DEGRADED] is True
    assert attributes.get(search_attributes.NEEDS_REVIEW) is None


async def test_nothing_runs_before_the_submission(harness: WorkflowHarness) -> None:
    handle = await harness.start(submit=False)

    progress = await handle.query(AssessmentWorkflow.progress)

    assert progress.stage is Stage.ANSWERING
    assert harness.activities.calls == []
    await handle.signal(AssessmentWorkflow.submit)
    await handle.result()


async def test_a_run_that_the_submission_started_never_shows_that_it_waits_for_the_student(
    harness: WorkflowHarness,
) -> None:
    harness.activities.script["score_rules"] = failing(StorageUnavailable("Away"))
    handle = await harness.start()

    progress = await handle.query(AssessmentWorkflow.progress)

    assert progress.stage is Stage.SCORING
    harness.activities.script.clear()
    await handle.result()


async def test_a_run_whose_row_was_restored_to_an_earlier_state_shows_that_it_waits_for_the_student(
    harness: WorkflowHarness,
) -> None:
    not_due = Claim(outcome=ClaimOutcome.NOT_DUE, status=AssessmentStatus.IN_PROGRESS, wait_s=600)
    harness.activities.claims = [not_due, FINISHED]
    handle = await harness.start()

    async def stage() -> Stage:
        return (await handle.query(AssessmentWorkflow.progress)).stage

    await eventually(stage, Stage.ANSWERING)
    await handle.result()


async def test_the_deadline_starts_scoring_without_a_submission(harness: WorkflowHarness) -> None:
    handle = await harness.start(submit=False, expires_in=timedelta(hours=72))

    outcome = await handle.result()

    assert outcome.revision == 1


async def test_a_claim_that_is_not_due_waits_for_the_databases_clock(harness: WorkflowHarness) -> None:
    not_due = Claim(outcome=ClaimOutcome.NOT_DUE, status=AssessmentStatus.IN_PROGRESS, wait_s=600)
    harness.activities.claims = [not_due, not_due, FINISHED]
    before = await harness.environment.get_current_time()

    await (await harness.start()).result()

    assert await harness.environment.get_current_time() - before >= timedelta(seconds=1200)
    assert harness.activities.calls == ["score_rules"] * 3


async def test_a_run_of_a_finished_assessment_ends_at_once(harness: WorkflowHarness) -> None:
    harness.activities.claims = [FINISHED]

    outcome = await (await harness.start()).result()

    assert outcome.revision == 0
    assert harness.activities.calls == ["score_rules"]


async def test_a_second_submission_changes_nothing(harness: WorkflowHarness) -> None:
    handle = await harness.start()
    await handle.signal(AssessmentWorkflow.submit)

    await handle.result()

    assert harness.activities.calls.count("blend_recommendations") == 1


async def test_failures_of_our_infrastructure_are_retried_until_success(harness: WorkflowHarness) -> None:
    harness.activities.script["score_rules"] = failing(StorageUnavailable("Postgres is away"), times=12)

    outcome = await (await harness.start()).result()

    assert outcome.status is AssessmentStatus.COMPLETED
    assert harness.activities.calls.count("score_rules") == 13


async def test_a_bug_that_a_new_release_corrects_within_the_hour_fails_nothing(harness: WorkflowHarness) -> None:
    harness.activities.script["blend_recommendations"] = failing(ZeroDivisionError("42"), times=UNEXPECTED_ATTEMPTS - 1)

    outcome = await (await harness.start()).result()

    assert outcome.status is AssessmentStatus.COMPLETED
    assert harness.activities.failures == []


async def test_a_lasting_bug_fails_the_run_after_an_hour(harness: WorkflowHarness) -> None:
    harness.activities.script["blend_recommendations"] = failing(ZeroDivisionError("42"))
    started = await harness.environment.get_current_time()

    with pytest.raises(WorkflowFailureError):
        await (await harness.start()).result()

    assert [each.reason for each in harness.activities.failures] == ["UnexpectedError"]
    assert await harness.environment.get_current_time() - started > timedelta(minutes=59)


async def test_a_non_retryable_failure_is_recorded_and_fails_the_run(harness: WorkflowHarness) -> None:
    harness.activities.script["blend_recommendations"] = failing(CorruptData("No output"))

    with pytest.raises(WorkflowFailureError) as failure:
        await (await harness.start()).result()

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "AssessmentFailed"
    assert harness.activities.calls.count("blend_recommendations") == 1
    assert [(each.run, each.reason) for each in harness.activities.failures] == [(1, "CorruptData")]


async def test_an_unknown_assessment_fails_the_run_without_a_write(
    harness: WorkflowHarness,
) -> None:
    harness.activities.script["score_rules"] = failing(NotFound("No such assessment"))

    with pytest.raises(WorkflowFailureError):
        await (await harness.start()).result()

    assert harness.activities.failures == []


async def test_a_run_ahead_of_its_row_fails_without_a_write(harness: WorkflowHarness) -> None:
    harness.activities.script["blend_recommendations"] = failing(Conflict("No evidence"))

    harness.activities.row = AssessmentStatus.AWAITING_ASYNC
    handle = await harness.start()
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    assert [each.run for each in harness.activities.failures] == [NO_RUN]
    assert await shown_status(handle) == AssessmentStatus.AWAITING_ASYNC


@pytest.mark.parametrize("error", [Conflict("The run has ended"), CorruptData("No output")])
async def test_a_run_whose_row_has_a_result_ends_as_completed(harness: WorkflowHarness, error: Exception) -> None:
    harness.activities.script["blend_recommendations"] = failing(error)
    harness.activities.row = AssessmentStatus.COMPLETED
    handle = await harness.start()

    outcome = await handle.result()

    assert outcome == AssessmentOutcome(status=AssessmentStatus.COMPLETED)
    assert await shown_status(handle) == AssessmentStatus.COMPLETED


async def test_a_failure_puts_no_data_into_the_history(harness: WorkflowHarness) -> None:
    harness.activities.script["blend_recommendations"] = failing(ValueError("MARKER-essay-text"))
    handle = await harness.start()

    with pytest.raises(WorkflowFailureError):
        await handle.result()

    assert b"MARKER" not in await history_bytes(handle)


async def test_progress_counts_essays_and_names_degraded_parts(harness: WorkflowHarness) -> None:
    handle = await harness.start()
    await handle.result()

    progress = await handle.query(AssessmentWorkflow.progress)

    assert progress == Progress(
        stage=Stage.DONE,
        essays_scored=2,
        essays_total=2,
        degraded_reasons=("essay_grader_not_configured",),
    )


def test_the_checklist_marks_finished_stages_and_the_current_one() -> None:
    text = checklist(Progress(stage=Stage.RETRIEVING, essays_scored=1, essays_total=2))

    assert "- [x] scoring" in text
    assert "- [ ] retrieving **← now**" in text
    assert "Essays graded: 1 of 2" in text


def test_the_checklist_of_a_failed_run_names_the_last_failure() -> None:
    assert "publish_result: CorruptData" in checklist(
        Progress(stage=Stage.FAILED, last_failure="publish_result: CorruptData")
    )
