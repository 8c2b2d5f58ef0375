"""The error body and the answers that routes document."""

from typing import Any, Final

from api.schemas.base import Output


class FieldProblem(Output):
    """`field` is a dotted path such as `responses.0.answer`; in an import it is a column of the `row`, from 1.

    `question_id` names the question whose answer is refused.
    """

    field: str
    problem: str
    row: int | None = None
    key: str | None = None
    question_id: str | None = None


class ErrorResponse(Output):
    """`error_code` is stable; `details` lists fields for invalid input, and names ids for some conflicts."""

    error_code: str
    message: str
    details: list[FieldProblem] | dict[str, str] | None = None


_EXAMPLES: Final = {
    400: ("VALIDATION_400", "The request is not valid"),
    401: ("UNAUTHENTICATED_401", "A valid bearer token is required"),
    403: ("FORBIDDEN_403", "Your role may not use this route"),
    404: ("NOT_FOUND_404", "No such assessment"),
    408: ("REQUEST_TIMEOUT_408", "The body did not arrive in time"),
    409: ("ASSESSMENT_409", "Assessment is completed, answers are no longer accepted"),
    410: ("ERASED_410", "The account is being erased"),
    413: ("PAYLOAD_TOO_LARGE_413", "The body is too large"),
    415: ("UNSUPPORTED_MEDIA_TYPE_415", "The body must be of a type that the route takes, in UTF-8 without encoding"),
    422: ("IDEMPOTENCY_422", "This idempotency key was sent with another body"),
    429: ("RATE_LIMIT_429", "Too many requests; Retry-After tells when to go on"),
    431: ("HEADERS_TOO_LARGE_431", "The headers are too large"),
    500: ("INTERNAL_500", "Something went wrong on our side"),
    503: ("STORAGE_503", "The database is away or overloaded"),
}

_DESCRIPTIONS: Final = {
    400: "The input is not valid; `details` names every field",
    401: "No token, or one that is not valid (any more)",
    403: "The caller's role, or the scopes of its API key, do not allow this route; `PASSWORD_CHANGE_REQUIRED`: a new"
    " password has to be chosen first",
    404: "It does not exist or is not the caller's to see",
    408: "The body took too long to arrive",
    409: "The state does not allow this, or a request with the same idempotency key is being worked on",
    410: "The person is being erased: nothing more is written about them",
    413: "The body has more than 1 MiB; than 16 KiB where tokens are given, than 20 MiB where a catalogue is imported",
    415: "The body is not of a type that the route takes, in UTF-8 without encoding",
    422: "The idempotency key came with another body before",
    429: "More requests than the caller may make",
    431: "Request line and headers have more than 32 KiB; what has no head that can be read has no `X-Request-Id`",
    500: "A fault on our side; X-Request-Id finds it in the log",
    503: "The database is away or overloaded; Retry-After tells when to try again",
}


_ALWAYS: Final = (400, 429, 431, 500, 503)
_IMPLIED: Final = {413: 408, 422: 410}
"""A body may be too slow where it may be too long; a key is kept for nobody who is being erased."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route's errors, to which those are added that it cannot be without."""
    implied = [_IMPLIED[status] for status in statuses if status in _IMPLIED]
    return {status: _answer(status) for status in sorted({*statuses, *implied, *_ALWAYS})}


def _answer(status: int) -> dict[str, Any]:
    code, message = _EXAMPLES[status]
    example: dict[str, object] = {"error_code": code, "message": message}
    if status == 400:  # noqa: PLR2004  # the HTTP status
        example["details"] = [{"field": "role_id", "problem": "must be a UUID in lower-case canonical form"}]
    return {
        "model": ErrorResponse,
        "description": _DESCRIPTIONS[status],
        "content": {"application/json": {"example": example}},
    }
