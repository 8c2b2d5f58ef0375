"""What the failure of a request to an OpenAI-compatible endpoint means, whoever runs it."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import httpx2
from openai import APIConnectionError, APIError, APIStatusError

from domain.errors import (
    ExternalServiceError,
    ModelBusy,
    ModelKeyRefused,
    ModelQuotaExhausted,
    ModelRequestRefused,
    ModelTimeout,
    ModelUnavailable,
    ModelUnknown,
)
from domain.webhooks import clamped, retry_after_s

LONGEST_WAIT_S: Final = 60.0
"""An essay waits so long for a provider that asks it to; for longer it goes to another grader."""

_NO_CREDIT: Final = {
    "insufficient_quota",
    "insufficient_user_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
}
_UNKNOWN_MODEL: Final = re.compile(
    r"model_not_found|invalid[_ ]model|not a valid model|model[_ ]not[_ ]exist"
    r"|\bmodel\b.{0,100}\b(?:does not exist|not found)"
)
_UNSUPPORTED: Final = re.compile(
    r"unsupported|not supported|not support|unrecognized|unknown|unexpected|not permitted|not allowed|extra_forbidden"
)
_FORMAT_WORDS: Final = ("response_format", "json_schema", "json_object")
_COMPLAINT_CHARS: Final = 2_000


def is_away(error: BaseException) -> bool:
    """Whether the endpoint did not answer, or only that it cannot; a refusal of any kind is an answer."""
    if isinstance(error, APIStatusError):
        return error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, TimeoutError | APIConnectionError | httpx2.HTTPError | ModelUnavailable)


def model_error(error: APIError | httpx2.HTTPError | TimeoutError) -> ExternalServiceError:
    """The domain's error for what a request ended in; its message holds nothing of the request or of the reply."""
    if isinstance(error, APIStatusError):
        return _refusal(error)
    cause = error.__cause__ if isinstance(error, APIConnectionError) else error
    if isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return ModelUnavailable("The language model's endpoint takes no connection: check OPENAI_BASE_URL")
    if isinstance(cause, httpx2.TimeoutException | TimeoutError):
        return ModelTimeout("The language model did not answer in time: see OPENAI_TIMEOUT_S")
    return ModelUnavailable("The connection to the language model failed: check OPENAI_BASE_URL and the network")


def refused_option(error: APIStatusError, sent: Collection[str]) -> str | None:
    """Which of the optional parts `sent` the endpoint cannot take, if that is what it complains of.

    `json_schema` and `json_object` stand for the format of the reply.
    """
    if error.status_code not in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return None
    complaint = _complaint(error)
    if any(word in complaint for word in _FORMAT_WORDS):
        return next((name for name in _FORMAT_WORDS if name in sent), None)
    if not _UNSUPPORTED.search(complaint):
        return None
    return next((name for name in sent if re.search(rf"\b{name}\b", complaint)), None)


def _refusal(error: APIStatusError) -> ExternalServiceError:
    complaint = _complaint(error)
    status = error.status_code
    if status == HTTPStatus.PAYMENT_REQUIRED or any(code in complaint.split() for code in _NO_CREDIT):
        return ModelQuotaExhausted("The account at the language model's provider has no credit left: add some")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _later(status, _wait_s(error.response.headers))
    if status == HTTPStatus.NOT_FOUND or _UNKNOWN_MODEL.search(complaint):
        return ModelUnknown("The provider does not know the model: check its name and OPENAI_BASE_URL")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ModelKeyRefused("The language model's provider refuses the API key: set a valid OPENAI_API_KEY")
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT}:
        return _later(status, _wait_s(error.response.headers))
    return ModelRequestRefused(f"The language model's provider refuses the request with status {status}")


def _later(status: int, wait_s: float | None) -> ExternalServiceError:
    if wait_s is not None and wait_s > LONGEST_WAIT_S:
        return ModelBusy("The language model's provider asks to wait for long", retry_after_s=wait_s)
    return ModelUnavailable(f"The language model's provider answers with status {status}", retry_after_s=wait_s)


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds (0..86,400) that the provider asks to wait; None where it says nothing intelligible."""
    with suppress(KeyError, ValueError):
        if (wait_s := clamped(float(headers["retry-after-ms"]) / 1000)) is not None:
            return wait_s
    return retry_after_s(headers.get("retry-after"), datetime.now(UTC))


def _complaint(error: APIStatusError) -> str:
    """Codes, parameter and message as one text in lower case, each apart from the others by a space.

    Anything else of the body may repeat the request.
    """
    return " ".join(_words(error.body))[:_COMPLAINT_CHARS].lower()


def _words(body: object) -> Iterator[str]:
    """OpenAI puts one fault into the body, others a plain text, or a list of faults as FastAPI does."""
    match body:
        case str(text) | {"detail": str(text)}:
            yield text
        case {"detail": [*faults]}:
            for fault in faults:
                yield from _texts(fault)
        case _:
            yield from _texts(body)


def _texts(fault: object) -> Iterator[str]:
    for name in ("code", "type", "param", "loc", "msg", "message"):
        value = fault.get(name) if isinstance(fault, dict) else None
        parts = value if isinstance(value, list) else [value]
        yield from (part for part in parts if isinstance(part, str))
