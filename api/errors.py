"""Turn errors into `{"error_code", "message"}` with optional `details`. They never contain the input or a stack."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api.schemas.base import UUID_FORM
from api.schemas.errors import UNSUPPORTED_BODY
from domain.errors import (
    AnswerChanged,
    AppError,
    AssessmentFailed,
    Conflict,
    CorruptData,
    Erased,
    ExternalServiceError,
    Forbidden,
    InvalidAssessmentState,
    InvalidInput,
    KeyReused,
    NoAttemptsLeft,
    NotFound,
    PasswordChangeRequired,
    Problem,
    RecommendationNotReady,
    RequestInProgress,
    RetakeNotYet,
    StorageUnavailable,
    TemporarilyUnavailable,
    TooManyRequests,
    Unauthenticated,
)

STATUS: Final[Mapping[type[AppError], int]] = {
    InvalidInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    PasswordChangeRequired: 403,
    NotFound: 404,
    InvalidAssessmentState: 409,
    NoAttemptsLeft: 409,
    RetakeNotYet: 409,
    RecommendationNotReady: 409,
    AssessmentFailed: 409,
    Conflict: 409,
    RequestInProgress: 409,
    Erased: 410,
    AnswerChanged: 412,
    KeyReused: 422,
    TooManyRequests: 429,
    CorruptData: 500,
    ExternalServiceError: 502,
    StorageUnavailable: 503,
    TemporarilyUnavailable: 503,
}

_HEADERS: Final[Mapping[type[AppError], dict[str, str]]] = {
    Unauthenticated: {"WWW-Authenticate": "Bearer"},
    RequestInProgress: {"Retry-After": "1"},
    StorageUnavailable: {"Retry-After": "2"},
    TemporarilyUnavailable: {"Retry-After": "5"},
}

# Written out, because Python's names of these statuses change between versions.
_REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    400: (InvalidInput.code, "The request is not valid"),
    404: (NotFound.code, "This path does not exist"),
    405: ("METHOD_NOT_ALLOWED_405", "This path does not support this method. The Allow header lists those it supports"),
    408: ("REQUEST_TIMEOUT_408", "The body did not arrive in time"),
    413: ("PAYLOAD_TOO_LARGE_413", "The body is too large"),
    415: ("UNSUPPORTED_MEDIA_TYPE_415", UNSUPPORTED_BODY),
}

log = structlog.get_logger(__name__)

MAX_PROBLEMS: Final = 50
"""Limit of reported problems, so that a small request cannot cause a large response."""


def register(app: FastAPI) -> None:
    """Install the error handlers. `api.middleware.correlation` handles all other exceptions."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)


def error_body(code: str, message: str, details: object = None) -> dict[str, object]:
    """Return the JSON object of an error."""
    content: dict[str, object] = {"error_code": code, "message": message}
    return content if details is None else content | {"details": details}


def answer_to(error: AppError) -> JSONResponse:
    """Return the response to an error."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS or kind is AppError)
    details: object = error.details
    if isinstance(error, InvalidInput) and error.problems:
        details = _problems(error.problems)
    headers = _HEADERS.get(kind)
    if isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(error.retry_after_s)}
    return JSONResponse(error_body(error.code, error.message, details), STATUS.get(kind, 500), headers=headers)


def _app_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppError)  # noqa: S101  # registered for this type only
    return answer_to(error)


async def _forbidden(request: Request, error: Exception) -> JSONResponse:
    """Count the denial by principal and hour. One audit row per denial would let clients fill the audit trail."""
    services, principal = request.app.state.services, getattr(request.state, "principal", None)
    try:
        if principal is not None:  # None: a form from another site, without a session
            await services.privacy.denials.count(principal.user_id)
    except AppError as failure:
        log.warning("denial_not_counted", error_code=failure.code)
    return _app_error(request, error)


def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this type only
    problems = tuple(_problem(problem, error.body) for problem in error.errors()[:MAX_PROBLEMS])
    return JSONResponse(error_body(InvalidInput.code, "The request is not valid", _problems(problems)), 400)


def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this type only
    code, message = _REFUSALS.get(error.status_code, (f"HTTP_{error.status_code}", "The request was refused"))
    return JSONResponse(error_body(code, message), error.status_code, headers=error.headers)


def _problem(found: Mapping[str, Any], document: Any) -> Problem:  # noqa: ANN401  # JSON is anything
    place: Sequence[object] = found["loc"]
    problem = str(found["msg"]).removeprefix("Value error, ")
    return Problem(_field(place), problem, question_id=_question_id(document, place))


def _question_id(document: Any, place: Sequence[Any]) -> str | None:  # noqa: ANN401  # JSON is anything
    """Return the `question_id` of the invalid response if it is a UUID. No other input is repeated."""
    try:
        named = document["responses"][place[2]]["question_id"]
    except (TypeError, LookupError):
        return None
    return named if isinstance(named, str) and UUID_FORM.fullmatch(named) else None


def _field(place: Sequence[object]) -> str:
    """Format `("body", "responses", 0, "answer")` as `responses.0.answer`, and `("body",)` as `body`."""
    return ".".join(str(part) for part in place[1:]) or str(place[0])


def _problems(problems: Sequence[Problem]) -> list[dict[str, object]]:
    return [
        {name: value for name, value in asdict(problem).items() if value is not None}
        for problem in problems[:MAX_PROBLEMS]
    ]
