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
    """One thing wrong with one field of the input."""

    field: str
    problem: str


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


class Erased(AppError):
    """The person is being, or has been, erased: nothing more is written about them."""

    code = "ERASED_410"


class ExternalServiceError(AppError):
    """Somebody else's service failed."""

    code = "EXTERNAL_SERVICE_502"


class StorageUnavailable(AppError):
    """Our own database is away or overloaded: the same call succeeds later."""

    code = "STORAGE_503"


class CorruptData(AppError):
    """Stored data breaks an invariant: a retry cannot help, a person must look."""

    code = "CORRUPT_DATA_500"
