"""The one place that says which failures are retried and what of them may be seen in a history.

Whatever an activity raises leaves it as `ApplicationError(text, type)` without a cause: a pydantic or SQLAlchemy error
would carry its input, an answer perhaps, into the workflow's history and every log.
"""

import asyncio
from typing import Any, Final, NoReturn

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from domain.errors import AppError, Conflict, CorruptData, Erased, InvalidAssessmentState, InvalidInput, NotFound

UNEXPECTED: Final = "UnexpectedError"
"""The type of whatever no code foresaw: a bug, and a bug is not retried."""

NON_RETRYABLE: Final = (
    UNEXPECTED,
    *(kind.__name__ for kind in (Conflict, CorruptData, Erased, InvalidAssessmentState, InvalidInput, NotFound)),
)

log = structlog.get_logger(__name__)


def code_of(error: BaseException) -> str:
    """A short label for `async_jobs` and failures: the domain's code, or the class's name."""
    return error.code if isinstance(error, AppError) else type(error).__name__


def translate(error: Exception) -> ApplicationError:
    """The failure as history may hold it: what broke and whether trying again helps, never the data at hand."""
    match error:
        case ApplicationError():
            return error
        case AppError():
            return ApplicationError(f"{error.code}: {error.message}", type=type(error).__name__)
        case asyncio.TimeoutError() | OSError():
            return ApplicationError(f"{type(error).__name__}: a service did not answer", type=type(error).__name__)
        case _:
            return ApplicationError(f"{type(error).__name__}: see the worker's log", type=UNEXPECTED)


class FailureInterceptor(Interceptor):
    """Puts `translate` around every activity."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _TranslatingInbound(next)


class _TranslatingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's signature
        try:
            return await self.next.execute_activity(input)
        except (CancelledError, asyncio.CancelledError, activity._CompleteAsyncError):  # noqa: SLF001 - control flow of the SDK
            raise
        except Exception as error:  # noqa: BLE001 - everything that leaves is translated
            _leave(error)


def _leave(error: Exception) -> NoReturn:
    info = activity.info()
    failure = translate(error)
    log.warning(
        "activity_failed",
        activity=info.activity_type,
        workflow_id=info.workflow_id,
        attempt=info.attempt,
        error=failure.type,
        # The place without the message: enough to find the bug, nothing of the data.
        where=_where(error) if failure.type == UNEXPECTED else None,
    )
    raise failure from None


def _where(error: BaseException) -> str:
    """File, line and function of the innermost frame, with the cause's class where there is one."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    cause = f" from {type(error.__cause__).__name__}" if error.__cause__ else ""
    if trace is None:
        return type(error).__name__ + cause
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno} {code.co_name}{cause}"
