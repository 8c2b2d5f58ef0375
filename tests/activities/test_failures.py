"""The failures that leave an activity, without sensitive data."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.failures import (
    NON_RETRYABLE,
    UNEXPECTED,
    UNEXPECTED_ATTEMPTS,
    FailureInterceptor,
    code_of,
    translate,
)
from domain.errors import (
    AppError,
    Conflict,
    CorruptData,
    Erased,
    ExternalServiceError,
    InvalidAssessmentState,
    InvalidInput,
    NotFound,
    StorageUnavailable,
)


class Wanted(BaseModel):
    number: int


def validation_error() -> Exception:
    try:
        Wanted.model_validate({"number": "MARKER"})
    except ValidationError as error:
        return error
    raise AssertionError


UNFORESEEN = [
    validation_error(),
    IntegrityError("INSERT", {"answer": "MARKER"}, ValueError("MARKER")),
    KeyError("MARKER"),
    ValueError("MARKER"),
]


@pytest.mark.parametrize("kind", [Conflict, CorruptData, Erased, InvalidAssessmentState, InvalidInput, NotFound])
def test_permanent_failures_are_not_retried(kind: type[AppError]) -> None:
    assert translate(kind("Assessment 1")).type in NON_RETRYABLE


@pytest.mark.parametrize("error", [StorageUnavailable("Away"), ExternalServiceError("Away"), TimeoutError(), OSError()])
def test_transient_failures_are_retried(error: Exception) -> None:
    assert translate(error).type not in NON_RETRYABLE


def test_a_domain_error_keeps_its_code_and_its_message_and_says_what_helps() -> None:
    failure = translate(CorruptData("Step score_rules of assessment 1 has no output"))

    assert failure.type == "CorruptData"
    assert failure.message == (
        "CORRUPT_DATA_500: Step score_rules of assessment 1 has no output. "
        "A retry does not help: correct the stored data"
    )


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_unexpected_error_keeps_only_its_class(error: Exception) -> None:
    failure = translate(error)

    assert failure.type == UNEXPECTED
    assert type(error).__name__ in failure.message
    assert "MARKER" not in str(failure)


def test_an_unexpected_error_is_retried_for_an_hour_at_intervals_of_thirty_seconds() -> None:
    failures = [translate(KeyError("x"), attempt) for attempt in range(1, UNEXPECTED_ATTEMPTS + 1)]

    assert UNEXPECTED not in NON_RETRYABLE
    assert {failure.next_retry_delay for failure in failures} == {timedelta(seconds=30)}
    assert [failure.non_retryable for failure in failures] == [False] * (UNEXPECTED_ATTEMPTS - 1) + [True]
    assert UNEXPECTED_ATTEMPTS * timedelta(seconds=30) == timedelta(hours=1)


def test_an_application_error_is_not_changed() -> None:
    failure = ApplicationError("Over the cap", type="OverCap")

    assert translate(failure) is failure


def test_a_job_holds_the_code_or_the_class() -> None:
    assert [code_of(error) for error in (NotFound("x"), KeyError("x"))] == ["NOT_FOUND_404", "KeyError"]


class Raising(ActivityInboundInterceptor):
    """The innermost interceptor."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        del input
        raise self.error


async def leaving(error: BaseException, *, debug: bool = False) -> Any:
    """The failure that leaves an activity that raises `error`."""
    inbound = FailureInterceptor(debug=debug).intercept_activity(Raising(error))

    @activity.defn
    async def failing() -> None:
        await inbound.execute_activity(ExecuteActivityInput(fn=failing, args=[], executor=None, headers={}))

    return await ActivityEnvironment().run(failing)


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_the_failure_has_no_cause(error: Exception) -> None:
    with capture_logs() as logs, pytest.raises(ApplicationError) as failure:
        await leaving(error)

    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    assert logs[0]["event"] == "activity_failed"
    assert "MARKER" not in str(logs)


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_with_debug_the_original_error_is_the_cause(error: Exception) -> None:
    with capture_logs() as logs, pytest.raises(ApplicationError) as failure:
        await leaving(error, debug=True)

    assert (failure.value.type, failure.value.__cause__) == (UNEXPECTED, error)
    assert "MARKER" in str(logs[0]["trace"])


async def test_the_log_says_where_a_bug_is() -> None:
    with capture_logs() as logs, pytest.raises(ApplicationError):
        await leaving(ZeroDivisionError())

    assert "test_failures.py" in logs[0]["where"]
    assert "execute_activity" in logs[0]["where"]


async def test_an_expected_failure_is_logged_without_a_place() -> None:
    with capture_logs() as logs, pytest.raises(ApplicationError):
        await leaving(StorageUnavailable("Away"))

    assert (logs[0]["error"], logs[0]["where"]) == ("StorageUnavailable", None)


async def test_a_benign_failure_is_not_logged_as_a_warning() -> None:
    with capture_logs() as logs, pytest.raises(ApplicationError):
        await leaving(ApplicationError("Not its turn", category=ApplicationErrorCategory.BENIGN))

    assert [entry["log_level"] for entry in logs] == ["debug"]


@pytest.mark.parametrize("error", [CancelledError(), asyncio.CancelledError()])
async def test_a_cancellation_is_no_failure(error: BaseException) -> None:
    with capture_logs() as logs, pytest.raises(type(error)):
        await leaving(error)

    assert logs == []
