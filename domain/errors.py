"""The error tree. Every error has a stable code; transports map types to their own status, never the other way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class AppError(Exception):
    """An error with a code that clients may rely on and a message that is safe to show.

    Messages name ids and fields, never answers, addresses or secrets.
    """

    code: ClassVar[str] = "INTERNAL_500"

    def __init__(self, message: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of the input; of which `row` (from 1) and `key`, where the input is a table."""

    field: str
    problem: str
    row: int | None = None
    key: str | None = None


class InvalidInput(AppError):
    """The input breaks a rule that its sender could have known."""

    code = "VALIDATION_400"

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class Unauthenticated(AppError):
    code = "UNAUTHENTICATED_401"


class Forbidden(AppError):
    code = "FORBIDDEN_403"


class NotFound(AppError):
    """It does not exist, or it is not the caller's to see: the two are not told apart."""

    code = "NOT_FOUND_404"


class InvalidAssessmentState(AppError):
    """The assessment's state does not allow this."""

    code = "ASSESSMENT_409"


class RecommendationNotReady(AppError):
    """There is no result because the assessment has not been submitted."""

    code = "RESULT_NOT_SUBMITTED"


class AssessmentFailed(AppError):
    code = "ASSESSMENT_FAILED"


class Conflict(AppError):
    """Somebody else changed the same thing first."""

    code = "CONFLICT_409"


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


class ExternalServiceError(AppError):
    """Somebody else's service failed. `retry_after_s` is what it asked to wait, in seconds >= 0, if it did."""

    code = "EXTERNAL_SERVICE_502"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(ExternalServiceError):
    """The language model could not be reached or failed; a retry may help."""


class ModelTimeout(ExternalServiceError):
    """The language model did not answer within the deadline; perhaps it answered, and was paid, all the same."""


class ModelCircuitOpen(ExternalServiceError):
    """The language model failed too often just now, so it is not asked."""


class ModelNotConfigured(ExternalServiceError):
    """There is no language model to ask."""


class ModelBusy(ExternalServiceError):
    """The language model's provider asks to wait for longer than an essay should."""


class ModelKeyRefused(ExternalServiceError):
    """The provider refuses the API key."""


class ModelQuotaExhausted(ExternalServiceError):
    """The account at the provider has no credit left."""


class ModelUnknown(ExternalServiceError):
    """The provider does not know the model."""


class ModelRequestRefused(ExternalServiceError):
    """The provider refuses the request as it is; the same one would be refused again."""


class BudgetSpent(ExternalServiceError):
    """The organization's budget for the day does not cover another answer."""


class AttemptsExceeded(AppError):
    """The student has handed in too many assessments for the role on this day for another one to be paid for."""

    code = "ATTEMPTS_429"


class AnswerAwaited(AppError):
    """Another attempt is buying the same answer; `retry_after_s` is for how long at most."""

    code = "ANSWER_AWAITED_409"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StorageUnavailable(AppError):
    """Our own database is away or overloaded: the same call succeeds later."""

    code = "STORAGE_503"


class TemporarilyUnavailable(AppError):
    """What the call needs is overloaded or away just now: the same call succeeds later."""

    code = "UNAVAILABLE_503"


class CorruptData(AppError):
    """Stored data breaks an invariant: a retry cannot help, a person must look."""

    code = "CORRUPT_DATA_500"
