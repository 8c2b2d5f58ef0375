"""The error body and the answers that routes document."""

from typing import Any, Final

from api.wire import Output


class FieldProblem(Output):
    """`field` is a dotted path such as `responses.0.answer`."""

    field: str
    problem: str


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
    409: ("ASSESSMENT_409", "Assessment is completed, answers are no longer accepted"),
    413: ("PAYLOAD_TOO_LARGE_413", "The body is too large"),
    415: ("UNSUPPORTED_MEDIA_TYPE_415", "The body must be application/json in UTF-8 without encoding"),
    500: ("INTERNAL_500", "Something went wrong on our side"),
    503: ("STORAGE_503", "The database is away or overloaded"),
}

_DESCRIPTIONS: Final = {
    400: "The input is not valid; `details` names every field",
    401: "No token, or one that is not valid (any more)",
    403: "The caller's role may not use this route",
    404: "It does not exist or is not the caller's to see",
    409: "The state does not allow this",
    413: "The body has more than 1 MiB",
    415: "The body is not application/json in UTF-8 without encoding",
    500: "A fault on our side; X-Request-Id finds it in the log",
    503: "The database is away or overloaded; Retry-After tells when to try again",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route's errors; 500 and 503 belong to every route."""
    return {status: _answer(status) for status in (*statuses, 500, 503)}


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
