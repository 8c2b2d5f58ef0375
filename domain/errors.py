"""The error tree. Every error has a stable code; transports map types to their own status, never the other way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class AppError(Exception):
    """An error with a code that clients may rely on and a message that is safe to show.

    Messages name ids and fields, never answers, addresses or secrets. `remedy` is what the failure of a run adds for
    whoever operates it, where the message does not say it.
    """

    code: ClassVar[str] = "INTERNAL_500"
    remedy: ClassVar[str] = ""

    def __init__(self, message: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of the input.

    `row` (from 1) and `key` say where in an imported table, `question_id` which answer of a batch.
    """

    field: str
    problem: str
    row: int | None = None
    key: str | None = None
    question_id: str | None = None


class InvalidInput(AppError):
    """The input breaks a rule that its sender could have known."""

    code = "VALIDATION_400"
    remedy = "Correct what was sent"

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class Unauthenticated(AppError):
    code = "UNAUTHENTICATED_401"


class Forbidden(AppError):
    code = "FORBIDDEN_403"


class PasswordChangeRequired(AppError):
    """Somebody else has set the caller's password: the caller must choose a new one first."""

    code = "PASSWORD_CHANGE_REQUIRED"


class NotFound(AppError):
    """It does not exist, or it is not the caller's to see: the two are not told apart."""

    code = "NOT_FOUND_404"
    remedy = "Was Postgres restored to before it was made?"


class InvalidAssessmentState(AppError):
    """The assessment's state does not allow this."""

    code = "ASSESSMENT_409"
    remedy = "Another run or request was faster"


class RecommendationNotReady(AppError):
    """There is no result because the assessment has not been submitted."""

    code = "RESULT_NOT_SUBMITTED"


class AssessmentFailed(AppError):
    code = "ASSESSMENT_FAILED"


class Conflict(AppError):
    """Somebody else changed the same thing first."""

    code = "CONFLICT_409"
    remedy = "Another run is ahead of this one"


class RequestInProgress(AppError):
    """The same request, by its idempotency key, is being worked on: its answer can be had a moment later."""

    code = "IDEMPOTENCY_409"


class KeyReused(AppError):
    """The idempotency key belongs to another request."""

    code = "IDEMPOTENCY_422"


class TooManyRequests(AppError):
    """The caller asks more often than the limit allows; `retry_after_s` is how long to wait, in seconds."""

    code = "RATE_LIMIT_429"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Erased(AppError):
    """The person is being, or has been, erased: nothing more is written about them."""

    code = "ERASED_410"
    remedy = "Nothing of theirs is worked on any more"


class ExternalServiceError(AppError):
    """Somebody else's service failed. `retry_after_s` is what it asked to wait, in seconds >= 0, if it did."""

    code = "EXTERNAL_SERVICE_502"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(ExternalServiceError):
    """The language model could not be reached or failed; a retry may help."""

    remedy = "It is tried again; then the local grader stands in, and healing goes on"


class ModelTimeout(ExternalServiceError):
    """The language model did not answer within the deadline; perhaps it answered, and was paid, all the same."""

    remedy = "It is tried once more; then the local grader stands in, and healing goes on"


class ModelCircuitOpen(ExternalServiceError):
    """The language model failed too often just now, so it is not asked."""

    remedy = "Mend what failed; healing goes on by itself"


class ModelNotConfigured(ExternalServiceError):
    """There is no language model to ask."""


class ModelBusy(ExternalServiceError):
    """The language model's provider asks to wait for longer than an essay should."""

    remedy = "Healing waits for as long"


class ModelKeyRefused(ExternalServiceError):
    """The provider refuses the API key."""

    remedy = "Restart the workers with it"


class ModelQuotaExhausted(ExternalServiceError):
    """The account at the provider has no credit left."""


class ModelUnknown(ExternalServiceError):
    """The provider does not know the model."""

    remedy = "Restart the workers with the right ones"


class ModelRequestRefused(ExternalServiceError):
    """The provider refuses the request as it is; the same one would be refused again."""

    remedy = "Check OPENAI_MODEL and what is set beside it, then restart the workers"


class TextRefused(ExternalServiceError):
    """The provider refuses a text because of its content; the same text would be refused again."""


class TextTooLong(ExternalServiceError):
    """A text does not fit into what the model reads."""

    remedy = "Choose a model that reads more, or set a lower OPENAI_MAX_TOKENS"


class BudgetSpent(ExternalServiceError):
    """The organization's budget for the day does not cover another answer."""

    remedy = "Healing goes on tomorrow; ESSAY_BUDGET_CENTS_PER_DAY sets the budget"


class AttemptsExceeded(AppError):
    """The student has handed in too many assessments for the role on this day for another one to be paid for."""

    code = "ATTEMPTS_429"
    remedy = "ESSAY_ATTEMPTS_PER_DAY sets how many are paid for"


class AnswerAwaited(AppError):
    """Another attempt is buying the same answer; `retry_after_s` is for how long at most."""

    code = "ANSWER_AWAITED_409"
    remedy = "This one waits for it"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AnalysisFailed(AppError):
    """The analysis of a text failed: time limit exceeded, process crashed, out of memory, or an exception."""

    code = "ANALYSIS_500"
    remedy = "The essay is left to a person; the worker's log names the cause"


class AttemptLost(AppError):
    """The attempt before this one crashed its worker or ran out of time; the step runs again after `retry_after_s`."""

    code = "ATTEMPT_LOST_503"
    remedy = "The step runs again after a pause"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GraderFailed(AppError):
    """Grading an essay crashed the grader or ran out of time too often: it is not tried again, a person grades it."""

    code = "GRADER_FAILED_500"
    remedy = "Review the essay; the worker's log names the cause"


class StepGivenUp(AppError):
    """A step crashed its worker or ran out of time too often: it is not tried again."""

    code = "STEP_GIVEN_UP_500"
    remedy = "Look for the cause in the worker's log and its memory limit"


class StorageUnavailable(AppError):
    """Our own database is away or overloaded: the same call succeeds later."""

    code = "STORAGE_503"
    remedy = "It is tried again until the database serves: see that Postgres is up and has connections left"


class TemporarilyUnavailable(AppError):
    """What the call needs is overloaded or away just now: the same call succeeds later."""

    code = "UNAVAILABLE_503"
    remedy = "It is tried again"


class CorruptData(AppError):
    """Stored data breaks an invariant: a retry cannot help, a person must look."""

    code = "CORRUPT_DATA_500"
    remedy = "No retry helps: a person must correct what is stored"
