"""The error classes of the application. Each has a stable code; each transport maps the classes to its own status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class AppError(Exception):
    """An error with a stable code and a message that is safe to show.

    Messages name ids and fields, never answers, addresses or secrets. `remedy` tells the operator of a failed run what
    to do, unless the message already says it.
    """

    code: ClassVar[str] = "INTERNAL_500"
    remedy: ClassVar[str] = ""

    def __init__(self, message: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with one field of the input.

    `row` (from 1) and `key` locate it in an imported table, `question_id` in a batch of answers.
    """

    field: str
    problem: str
    row: int | None = None
    key: str | None = None
    question_id: str | None = None


class InvalidInput(AppError):
    """The input breaks a documented rule."""

    code = "VALIDATION_400"
    remedy = "Correct the input"

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class Unauthenticated(AppError):
    code = "UNAUTHENTICATED_401"


class Forbidden(AppError):
    code = "FORBIDDEN_403"


class PasswordChangeRequired(AppError):
    """Another person set the caller's password, so the caller must choose a new one first."""

    code = "PASSWORD_CHANGE_REQUIRED"


class NotFound(AppError):
    """The object does not exist or the caller may not see it. The error does not say which."""

    code = "NOT_FOUND_404"
    remedy = "Check whether Postgres was restored to a time before it was created"


class InvalidAssessmentState(AppError):
    """The assessment's state does not allow the operation."""

    code = "ASSESSMENT_409"
    remedy = "Another run or request changed the state first"


class NoAttemptsLeft(AppError):
    """The student has used all attempts that the role allows."""

    code = "NO_ATTEMPTS_LEFT"


class RetakeNotYet(AppError):
    """The cool-down after the student's last attempt at the role has not ended. `details.from` says when it does."""

    code = "RETAKE_NOT_YET"


class RecommendationNotReady(AppError):
    """There is no result because the assessment has not been submitted."""

    code = "RESULT_NOT_SUBMITTED"


class AssessmentFailed(AppError):
    code = "ASSESSMENT_FAILED"


class Conflict(AppError):
    """Another request or run changed the same row first."""

    code = "CONFLICT_409"
    remedy = "Another run is ahead of this one"


class AnswerChanged(Conflict):
    """The stored answer is not the version that the caller has read. `details` has the stored answer."""

    code = "ANSWER_CHANGED_412"


class RequestInProgress(AppError):
    """A request with the same idempotency key is in progress. Its response is available soon."""

    code = "IDEMPOTENCY_409"


class KeyReused(AppError):
    """The idempotency key belongs to another request."""

    code = "IDEMPOTENCY_422"


class TooManyRequests(AppError):
    """The caller has exceeded a rate limit. `retry_after_s` is the time to wait in seconds."""

    code = "RATE_LIMIT_429"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Erased(AppError):
    """The user is being erased or has been erased, so no data about the user may be written."""

    code = "ERASED_410"
    remedy = "No action: the data of erased users is not processed"


class ExternalServiceError(AppError):
    """A third-party service failed. `retry_after_s` (>= 0) is the wait that the service asked for, or None."""

    code = "EXTERNAL_SERVICE_502"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(ExternalServiceError):
    """The language model is unreachable or failed. A retry may help."""

    remedy = "The call is retried; then the local grader grades the essay, and healing tries again later"


class ModelTimeout(ExternalServiceError):
    """The language model did not reply within the deadline. The provider may still charge for the call."""

    remedy = "The call is retried once; then the local grader grades the essay, and healing tries again later"


class ModelCircuitOpen(ExternalServiceError):
    """The circuit breaker is open: recent calls to the language model failed too often, so none is made."""

    remedy = "Fix the cause of the failed calls; healing then continues automatically"


class ModelNotConfigured(ExternalServiceError):
    """No language model is configured."""


class ModelBusy(ExternalServiceError):
    """The provider asks for a longer wait than grading of an essay allows."""

    remedy = "Healing waits for that time"


class ModelKeyRefused(ExternalServiceError):
    """The provider rejects the API key."""

    remedy = "Then restart the workers"


class ModelQuotaExhausted(ExternalServiceError):
    """The account at the provider has no credit or quota left."""


class ModelUnknown(ExternalServiceError):
    """The provider does not know the model."""

    remedy = "Then restart the workers"


class ModelRequestRefused(ExternalServiceError):
    """The provider rejects the request, and would reject the same request again."""

    remedy = "Check OPENAI_MODEL and the options set with it, then restart the workers"


class TextRefused(ExternalServiceError):
    """The provider refuses a text because of its content, and would refuse the same text again."""


class TextTooLong(ExternalServiceError):
    """A text is longer than the model's context allows."""

    remedy = "Choose a model with a larger context, or set a lower OPENAI_MAX_TOKENS"


class BudgetSpent(ExternalServiceError):
    """The organization's budget for the day does not cover another model call."""

    remedy = "Healing continues tomorrow; ESSAY_BUDGET_CENTS_PER_DAY sets the budget"


class AttemptsExceeded(AppError):
    """The student has submitted more assessments of the role today than the daily limit of model grading allows."""

    code = "ATTEMPTS_429"
    remedy = "ESSAY_ATTEMPTS_PER_DAY sets the limit"


class AnswerAwaited(AppError):
    """Another attempt has reserved the same model call. The reservation expires within `retry_after_s`."""

    code = "ANSWER_AWAITED_409"
    remedy = "This attempt waits for its reply"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AnalysisFailed(AppError):
    """The analysis of a text failed: timeout, crash of the process, lack of memory, or an exception."""

    code = "ANALYSIS_500"
    remedy = "A reviewer must grade the essay; the worker's log names the cause"


class AttemptLost(AppError):
    """The previous attempt crashed its worker or timed out. The step runs again after `retry_after_s`."""

    code = "ATTEMPT_LOST_503"
    remedy = "The step runs again after a pause"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GraderFailed(AppError):
    """Grading of an essay crashed the grader or timed out too often. It is not retried; a reviewer must grade it."""

    code = "GRADER_FAILED_500"
    remedy = "Review the essay; the worker's log names the cause"


class StepGivenUp(AppError):
    """A step crashed its worker or timed out too often. It is not retried."""

    code = "STEP_GIVEN_UP_500"
    remedy = "Find the cause in the worker's log, and check its memory limit"


class StorageUnavailable(AppError):
    """The application's database is unreachable or overloaded. The same call succeeds later."""

    code = "STORAGE_503"
    remedy = "The call is retried until the database responds: check that Postgres is up and has free connections"


class TemporarilyUnavailable(AppError):
    """A dependency of the call is overloaded or unreachable. The same call succeeds later."""

    code = "UNAVAILABLE_503"
    remedy = "The call is retried"


class CorruptData(AppError):
    """Stored data breaks an invariant. A retry does not help; an operator must correct the data."""

    code = "CORRUPT_DATA_500"
    remedy = "A retry does not help: correct the stored data"
