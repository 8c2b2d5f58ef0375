"""Grading of essays: the language model first, then the local grader as fallback."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from activities.score_essay import EssayOutcome, EssayProgress
from domain import errors
from domain.errors import AppError, AttemptLost, CorruptData, ModelTimeout, ModelUnavailable, StorageUnavailable
from domain.grading.scores import DegradedReason
from tests.workflows.scripted import WorkflowHarness
from workflows.policies import FALLBACKS, POLICIES, STORAGE_PAUSE

AGAIN = EssayProgress(outcome=EssayOutcome.AGAIN, next_call="sample 1, corrective round")
UNSCORABLE = EssayProgress(outcome=EssayOutcome.UNSCORABLE)


@pytest.fixture
def by_model(harness: WorkflowHarness) -> WorkflowHarness:
    """A claim with one essay for the language model."""
    activities = harness.activities
    activities.essays = activities.essays[:1]
    activities.claims = [replace(activities.claims[0], essays=activities.essays, by_model=True)]
    return harness


def failing(error: Callable[[], Exception], times: int = 1_000_000) -> Callable[[], None]:
    left = [times]

    def act() -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error()

    return act


async def run(harness: WorkflowHarness) -> list[tuple[DegradedReason, int]]:
    """The reasons for the local grader, and the number of calls to the model."""
    await (await harness.start()).result()
    return [(left.reason, harness.activities.calls.count("score_essay")) for left in harness.activities.left]


async def test_essays_that_the_model_graded_skip_the_local_grader(by_model: WorkflowHarness) -> None:
    assert await run(by_model) == []
    assert by_model.activities.calls.count("score_essay") == 1


async def test_each_completion_is_requested_by_its_own_activity(by_model: WorkflowHarness) -> None:
    by_model.activities.progress = [AGAIN, AGAIN]

    assert await run(by_model) == []
    assert by_model.activities.calls.count("score_essay") == 3


async def test_rejected_completions_fall_back_to_the_local_grader(by_model: WorkflowHarness) -> None:
    by_model.activities.progress = [AGAIN, UNSCORABLE]

    assert await run(by_model) == [(DegradedReason.ESSAY_ANSWER_REJECTED, 2)]


@pytest.mark.parametrize("reason", [DegradedReason.ESSAY_REFUSED_BY_PROVIDER, DegradedReason.ESSAY_TOO_LONG_FOR_MODEL])
async def test_an_essay_that_the_model_can_never_grade_is_tried_once_and_has_a_reason(
    by_model: WorkflowHarness, reason: DegradedReason
) -> None:
    by_model.activities.progress = [EssayProgress(outcome=EssayOutcome.UNSCORABLE, reason=reason)]

    assert await run(by_model) == [(reason, 1)]


async def test_only_essays_that_the_model_did_not_grade_go_to_the_local_grader(harness: WorkflowHarness) -> None:
    harness.activities.claims = [replace(harness.activities.claims[0], by_model=True)]
    harness.activities.progress = [UNSCORABLE]

    await (await harness.start()).result()

    left = [each.essay for each in harness.activities.left]
    assert len(left) == 1
    assert left[0] in harness.activities.essays


async def test_an_unavailable_provider_gets_five_attempts(by_model: WorkflowHarness) -> None:
    by_model.activities.script["score_essay"] = failing(lambda: ModelUnavailable("Away"))

    assert await run(by_model) == [(DegradedReason.ESSAY_GRADER_LOCAL, 5)]


async def test_a_provider_that_times_out_gets_two_attempts(by_model: WorkflowHarness) -> None:
    by_model.activities.script["score_essay"] = failing(lambda: ModelTimeout("No answer within 60 s"))

    assert await run(by_model) == [(DegradedReason.ESSAY_GRADER_LOCAL, 2)]


@pytest.mark.parametrize("error", [AttemptLost("Out of memory", retry_after_s=0.0), OSError("No more processes")])
async def test_any_failure_that_a_retry_could_have_corrected_falls_back_to_the_local_grader(
    by_model: WorkflowHarness, error: Exception
) -> None:
    by_model.activities.script["score_essay"] = failing(lambda: error)

    assert await run(by_model) == [(DegradedReason.ESSAY_GRADER_LOCAL, 5)]


@pytest.mark.parametrize("name", sorted(set(FALLBACKS) - {"ModelUnavailable", "ModelTimeout", "AnswerAwaited"}))
async def test_a_non_retryable_failure_gets_one_attempt_and_its_own_reason(
    by_model: WorkflowHarness, name: str
) -> None:
    kind: type[AppError] = getattr(errors, name)
    by_model.activities.script["score_essay"] = failing(lambda: kind("Refused"))

    assert await run(by_model) == [(FALLBACKS[name], 1)]


async def test_retry_after_is_respected(by_model: WorkflowHarness) -> None:
    by_model.activities.script["score_essay"] = failing(lambda: ModelUnavailable("Busy", retry_after_s=50), times=2)
    before = await by_model.environment.get_current_time()

    assert await run(by_model) == []

    assert await by_model.environment.get_current_time() - before >= timedelta(seconds=100)


async def test_an_outage_of_postgres_delays_grading_without_degrading(by_model: WorkflowHarness) -> None:
    by_model.activities.script["score_essay"] = failing(lambda: StorageUnavailable("Postgres is away"), times=12)
    before = await by_model.environment.get_current_time()

    assert await run(by_model) == []

    assert await by_model.environment.get_current_time() - before >= 2 * STORAGE_PAUSE


async def test_a_bug_fails_the_run_instead_of_falling_back(by_model: WorkflowHarness) -> None:
    by_model.activities.script["score_essay"] = failing(lambda: CorruptData("No such essay"))

    with pytest.raises(WorkflowFailureError):
        await run(by_model)

    assert [failure.reason for failure in by_model.activities.failures] == ["CorruptData"]


async def test_a_failed_essay_lets_the_others_end_before_the_run_fails(harness: WorkflowHarness) -> None:
    harness.activities.claims = [replace(harness.activities.claims[0], by_model=True)]
    harness.activities.script["score_essay"] = failing(lambda: CorruptData("No such essay"), times=1)

    with pytest.raises(WorkflowFailureError):
        await run(harness)

    assert harness.activities.calls.count("score_essay") == 2


def test_waiting_in_the_queue_of_the_model_has_no_timeout() -> None:
    policy = POLICIES["score_essay"]

    assert policy.retry.maximum_attempts == 5
    assert not hasattr(policy, "schedule_to_start")
    assert not hasattr(policy, "schedule_to_close")
