"""Decide which activity failures are retried and which details reach a workflow history.

Every exception of an activity becomes an `ApplicationError(text, type)` without a cause. The text of a pydantic or
SQLAlchemy error contains its input, such as a student's answer, and would reach the workflow history and the logs.
"""

import asyncio
from datetime import timedelta
from typing import Any, Final, NoReturn

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from activities.debugging import trace_of
from domain.errors import (
    AnswerAwaited,
    AppError,
    AttemptLost,
    AttemptsExceeded,
    BudgetSpent,
    Conflict,
    CorruptData,
    Erased,
    ExternalServiceError,
    GraderFailed,
    InvalidAssessmentState,
    InvalidInput,
    ModelBusy,
    ModelCircuitOpen,
    ModelKeyRefused,
    ModelNotConfigured,
    ModelQuotaExhausted,
    ModelRequestRefused,
    ModelTimeout,
    ModelUnknown,
    NotFound,
    StepGivenUp,
    TextRefused,
    TextTooLong,
)

UNEXPECTED: Final = "UnexpectedError"
"""The type of an unexpected error: a bug, or data that the code does not expect."""
UNEXPECTED_PAUSE: Final = timedelta(seconds=30)
UNEXPECTED_ATTEMPTS: Final = 120
"""An unexpected error is retried for an hour, because a rollback or a corrected release often ends it. After the last
attempt it is not retried."""

NON_RETRYABLE: Final = (
    *(kind.__name__ for kind in (Conflict, CorruptData, Erased, InvalidAssessmentState, InvalidInput, NotFound)),
    *(kind.__name__ for kind in (ModelBusy, ModelCircuitOpen, ModelKeyRefused, ModelQuotaExhausted, ModelUnknown)),
    *(kind.__name__ for kind in (ModelRequestRefused, ModelNotConfigured, BudgetSpent, AttemptsExceeded)),
    *(kind.__name__ for kind in (TextRefused, TextTooLong, GraderFailed, StepGivenUp)),
)
TIMEOUTS: Final = 2
"""The most attempts at a model call that times out. The provider may charge for an answer that arrives too late."""

log = structlog.get_logger(__name__)


def code_of(error: BaseException) -> str:
    """Return a short label for `async_jobs` and failures: the domain's error code, or the class name."""
    return error.code if isinstance(error, AppError) else type(error).__name__


def translate(error: Exception, attempt: int = 1) -> ApplicationError:
    """Convert an exception to a failure that is safe for the history: its cause and retryability, without any data.

    The wait that a service asks for is in the details, in seconds, and delays the next attempt.
    """
    match error:
        case ApplicationError():
            return error
        case ModelTimeout():
            return _failure(error, error.retry_after_s, non_retryable=attempt >= TIMEOUTS)
        case ExternalServiceError() | AnswerAwaited() | AttemptLost():
            return _failure(error, error.retry_after_s)
        case AppError():
            return ApplicationError(_describe(error), type=type(error).__name__)
        case asyncio.TimeoutError() | OSError():
            text = f"{type(error).__name__}: a service did not respond. It is retried: check that all services run"
            return ApplicationError(text, type=type(error).__name__)
        case _:
            text = (
                f"{type(error).__name__}: a bug or unexpected data. It is retried for an hour. The worker's log names"
                " the line of code"
            )
            return ApplicationError(
                text,
                type=UNEXPECTED,
                non_retryable=attempt >= UNEXPECTED_ATTEMPTS,
                next_retry_delay=UNEXPECTED_PAUSE,
            )


def is_unexpected(error: Exception) -> bool:
    """Return whether `translate` converts the exception to an UNEXPECTED failure."""
    return translate(error).type == UNEXPECTED


def _failure(error: AppError, retry_after_s: float | None, *, non_retryable: bool = False) -> ApplicationError:
    return ApplicationError(
        _describe(error),
        *([] if retry_after_s is None else [retry_after_s]),
        type=type(error).__name__,
        non_retryable=non_retryable,
        next_retry_delay=None if retry_after_s is None else timedelta(seconds=retry_after_s),
    )


def _describe(error: AppError) -> str:
    """Return code, cause and remedy."""
    return f"{error.code}: {error.message}" + (f". {error.remedy}" if error.remedy else "")


class FailureInterceptor(Interceptor):
    """Apply `translate` to the failures of every activity; with `debug`, keep the original error as the cause."""

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _TranslatingInbound(next, debug=self._debug)


class _TranslatingInbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, *, debug: bool) -> None:  # noqa: A002 - the SDK's name
        super().__init__(next)
        self._debug = debug

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's signature
        try:
            return await self.next.execute_activity(input)
        except (CancelledError, asyncio.CancelledError, activity._CompleteAsyncError):  # noqa: SLF001 - control flow of the SDK
            raise
        except Exception as error:  # noqa: BLE001 - every failure is translated
            _raise_translated(error, debug=self._debug)


def _raise_translated(error: Exception, *, debug: bool) -> NoReturn:
    info = activity.info()
    failure = translate(error, info.attempt)
    write = log.debug if failure.category is ApplicationErrorCategory.BENIGN else log.warning  # benign is expected
    write(
        "activity_failed",
        activity=info.activity_type,
        workflow_id=info.workflow_id,
        attempt=info.attempt,
        error=failure.type,
        # The line of code finds the bug; the message could contain data.
        where=_where(error) if failure.type == UNEXPECTED else None,
        **({"trace": trace_of(error)} if debug else {}),
    )
    raise failure from (error if debug and failure is not error else None)


def _where(error: BaseException) -> str:
    """Return file, line and function of the innermost frame, with the class of the cause if there is one."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    cause = f" from {type(error.__cause__).__name__}" if error.__cause__ else ""
    if trace is None:
        return type(error).__name__ + cause
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno} {code.co_name}{cause}"
