"""The error body, and the error responses that routes document."""

from typing import Any, Final

from api.schemas.base import Output

UNSUPPORTED_BODY: Final = (
    "The body must have a media type that this route accepts, in UTF-8 and without a content encoding"
)
"""The message for status 415."""
UNEXPECTED: Final = "An unexpected error occurred. Report it with the id in X-Request-Id"
"""The message for status 500 in the OpenAPI document, and for an unexpected error about one object of many."""


class FieldProblem(Output):
    """A problem with one field. `field` is a dotted path such as `responses.0.answer`.

    In an import, `field` is a column and `row` the row, counted from 1. `question_id` is the question whose answer is
    invalid.
    """

    field: str
    problem: str
    row: int | None = None
    key: str | None = None
    question_id: str | None = None


class ErrorResponse(Output):
    """An error. `error_code` is stable. `details` lists fields for invalid input, or ids for some conflicts."""

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
    415: ("UNSUPPORTED_MEDIA_TYPE_415", UNSUPPORTED_BODY),
    422: ("IDEMPOTENCY_422", "This idempotency key was sent with another body"),
    429: ("RATE_LIMIT_429", "Too many requests. Try again after the seconds in Retry-After"),
    431: ("HEADERS_TOO_LARGE_431", "Request line and headers exceed 32 KiB"),
    500: ("INTERNAL_500", UNEXPECTED),
    503: ("STORAGE_503", "The database is unavailable or overloaded"),
}

_DESCRIPTIONS: Final = {
    400: "The input is invalid. `details` lists the fields",
    401: "The token is missing, invalid or expired",
    403: "The user's role, or the scopes of the API key, do not allow this route. `PASSWORD_CHANGE_REQUIRED`: the user"
    " must choose a new password first",
    404: "The resource does not exist, or the caller may not see it",
    408: "The body did not arrive in time",
    409: "The current state does not allow this, or a request with the same idempotency key is in progress",
    410: "The user's account is being erased. It accepts no more changes",
    413: "The body is too large: the limit is 1 MiB; 16 KiB for passwords and tokens, 20 MiB for catalogue imports",
    415: "The body's media type, charset or content encoding is not accepted by this route",
    422: "The idempotency key was used before with another body",
    429: "The caller has used up a rate limit. Try again after the seconds in `Retry-After`",
    431: "Request line and headers exceed 32 KiB. Unreadable headers get a response without `X-Request-Id`",
    500: "An unexpected error on the server. Report it with the id in `X-Request-Id`",
    503: "A service is unavailable or overloaded. Try again after the seconds in `Retry-After`",
}


_ALWAYS: Final = (400, 429, 431, 500, 503)
_IMPLIED: Final = {413: 408, 422: 410}
"""Every route with a body may also return 408. Every route with an idempotency key may also return 410."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's errors: the given statuses and those that every such route may return."""
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
