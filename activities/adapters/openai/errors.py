"""Classify the failures of OpenAI-compatible endpoints.

Providers differ in the status, the shape of the body and the error codes. So the texts of all members that explain a
failure are collected and matched against patterns. `tests/activities/adapters/shapes` has recorded responses of each
provider.
"""

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx2
from openai import APIConnectionError, APIError, APIStatusError

from activities.adapters.openai.reply_json import NotReadable, parse
from domain.errors import (
    ExternalServiceError,
    ModelBusy,
    ModelKeyRefused,
    ModelQuotaExhausted,
    ModelRequestRefused,
    ModelTimeout,
    ModelUnavailable,
    ModelUnknown,
    TextRefused,
    TextTooLong,
)
from domain.webhooks.deliveries import clamped, retry_after_s

LONGEST_WAIT_S: Final = 60.0
"""The longest wait requested by a provider that an essay accepts; after a longer one it goes to another grader."""

_NO_CREDIT: Final = re.compile(
    r"\b(?:insufficient_(?:user_)?quota|billing_hard_limit_reached|billing_not_active|credit_balance_exhausted"
    r"|exceeded_current_quota_error|arrearage)\b"
    r"|credit balance is too low|insufficient (?:credit|balance|funds)|(?:not|n't) have any credits"
    r"|used all (?:of its )?available credits|spending limit|inactive subscription|usage limit reached"
    r"|perday|limit: 0\b"  # Gemini's daily quota, and its plans without the model
)
_INVALID_KEY: Final = re.compile(
    r"(?:invalid|incorrect)[ _-](?:x[ _-])?api[ _-]key|api[ _-]key[ _](?:is )?(?:not valid|invalid|expired|not found)"
)
_UNKNOWN_MODEL: Final = re.compile(
    r"model_not_found|invalid[_ ]model|not a valid model|model[_ ]not[_ ]exist"
    r"|\bmodel\b.{0,100}\b(?:does not exist|not found)"
)
_REFUSED_TEXT: Final = re.compile(
    r"content[_ ]filter|content[_ ]policy|content management policy|responsibleaipolicy|content moderation"
    r"|requires moderation|\bflagged\b|usage (?:guidelines|policy)|safety_check|prohibited_content"
    r"|data_inspection_failed"
)
_TOO_LONG: Final = re.compile(
    r"context[_ ](?:length|size|window)|maximum (?:context|prompt|input) length|prompt is too long"
    r"|too many (?:input )?tokens|input (?:is )?too (?:long|large)|input token count|maximum number of tokens"
    r"|reduce (?:the|your) (?:length|message|prompt)|less than \d+ tokens|too large for model|string_above_max_length"
    r"|request too large for|increase the physical batch size"
)
_TOO_MANY_TEXTS: Final = re.compile(r"\bbatch\b")
_UNSUPPORTED: Final = re.compile(
    r"unsupported|not supported|not support|unrecognized|unknown|unexpected|not permitted|not allowed|extra_forbidden"
    r"|must be|\bonly\b|invalid|deprecated|too large|too high|out of range|not accept|not available|not enabled"
)
_FORMAT: Final = re.compile(
    r"response_?\s?format|response_?\s?schema|json_?\s?schema|json_?\s?object|json_?\s?mode|structured_?\s?outputs?"
    r"|\bgrammar\b|guided_?\s?(?:decoding|json)|json_validate_failed|\bschema\b"
)
_MATRYOSHKA: Final = "matryoshka"
"""vLLM's term for a model that can shorten its vectors to the requested dimensions."""
_RETRY_IN: Final = re.compile(r"(?:retry|again) in (?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?")
_SET_A_KEY: Final = "The language model's provider rejects the API key: set a valid OPENAI_API_KEY"
FORMATS: Final = ("json_schema", "json_object")

_EXPLAINING: Final = ("code", "type", "param", "loc", "field", "status", "reason", "quotaId", "msg", "message")
_ENCLOSING: Final = ("error", "errors", "detail", "details", "metadata", "raw", "innererror", "fieldViolations")
_EXPLANATIONS: Final = (*_EXPLAINING, *_ENCLOSING, "violations", "description")
"""Members that explain a failure or contain the explanation. Other members may repeat the request."""
_NAMING: Final = {"param", "loc", "field"}
"""Members that name the faulty part of the request."""
_MOST_PARTS: Final = 200
_COMPLAINT_CHARS: Final = 4_000
_OPTION_STATUSES: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
_TRANSIENT: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
_FORMAT_STATUSES: Final = {
    *_OPTION_STATUSES,
    HTTPStatus.NOT_FOUND,  # routers that find no provider for the format
    HTTPStatus.INTERNAL_SERVER_ERROR,  # local servers that cannot compile the schema
    HTTPStatus.NOT_IMPLEMENTED,
}


class _Complaint(NamedTuple):
    """The provider's explanation of a failure, in lower case, and the parts of the request that it names."""

    text: str
    named: frozenset[str]


def is_outage(error: BaseException) -> bool:
    """Whether the endpoint did not respond or had a server error. A rejected request is not an outage."""
    if isinstance(error, APIStatusError):
        refused = isinstance(model_error(error), TextRefused | TextTooLong)
        return error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR and not refused
    return isinstance(error, TimeoutError | APIConnectionError | httpx2.HTTPError | ModelUnavailable)


def model_error(error: APIError | httpx2.HTTPError | TimeoutError) -> ExternalServiceError:
    """Return the domain's error for a failed request; its message contains no part of the request or the response."""
    if isinstance(error, APIStatusError):
        return _status_error(error.status_code, _complaint(error.body), error.response.headers)
    cause = error.__cause__ if isinstance(error, APIConnectionError) else error
    if isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return ModelUnavailable("The language model's endpoint accepts no connection: check OPENAI_BASE_URL")
    if isinstance(cause, httpx2.TimeoutException | TimeoutError):
        return ModelTimeout("The language model did not respond in time: see OPENAI_TIMEOUT_S")
    return ModelUnavailable("The connection to the language model failed: check OPENAI_BASE_URL and the network")


def error_in_reply(raw: bytes) -> ExternalServiceError:
    """Return the domain's error for a response with status 200 but without a reply; some routers report failures so."""
    with suppress(NotReadable):
        match parse(raw):
            case {"error": {"code": int(code)} as error} | {"choices": [{"error": {"code": int(code)} as error}, *_]}:
                if HTTPStatus.BAD_REQUEST <= code <= 599:  # noqa: PLR2004 - the last status there is
                    return _status_error(code, _complaint(error), {})
    return ModelUnavailable("The response is not from a language model: check OPENAI_BASE_URL if this happens again")


def refused_option(error: APIStatusError, sent: Collection[str]) -> str | None:
    """Return which of the optional parts `sent` the endpoint does not support, if that caused the failure.

    `json_schema` and `json_object` are the format of the reply.
    """
    complaint = _complaint(error.body)
    if any(pattern.search(complaint.text) for pattern in (_TOO_LONG, _NO_CREDIT, _INVALID_KEY, _REFUSED_TEXT)):
        return None
    possible = sent if error.status_code in _OPTION_STATUSES else ()
    named = next((name for name in possible if name in complaint.named), None)
    if named is not None:
        return named
    if error.status_code in _FORMAT_STATUSES and _FORMAT.search(complaint.text):
        return next((name for name in FORMATS if name in sent), None)
    return next((name for name in possible if _refuses(complaint, name)), None)


def _refuses(complaint: _Complaint, option: str) -> bool:
    words = rf"\b{option}\b|{_MATRYOSHKA}" if option == "dimensions" else rf"\b{option}\b"
    return bool(_UNSUPPORTED.search(complaint.text) and re.search(words, complaint.text))


def is_too_large(error: APIStatusError) -> bool:
    """Whether a request for vectors was refused because it has too many texts or a text that is too long."""
    text = _complaint(error.body).text
    return error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or (
        error.status_code in {*_OPTION_STATUSES, HTTPStatus.INTERNAL_SERVER_ERROR}
        and any(pattern.search(text) for pattern in (_TOO_LONG, _TOO_MANY_TEXTS))
    )


def _status_error(status: int, complaint: _Complaint, headers: Mapping[str, str]) -> ExternalServiceError:
    known = _about_text(status, complaint.text) or _about_account(status, complaint.text)
    if known is not None:
        return known
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _transient_error(status, _wait_s(headers, complaint.text))
    if status == HTTPStatus.NOT_FOUND or _UNKNOWN_MODEL.search(complaint.text):
        return ModelUnknown("The provider does not know the model: check its name and OPENAI_BASE_URL")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ModelKeyRefused(_SET_A_KEY)
    return ModelRequestRefused(f"The language model's provider rejects the request with status {status}")


def _about_account(status: int, complaint: str) -> ExternalServiceError | None:
    """Return the error if the provider's text names the key or the credit as the cause."""
    if status == HTTPStatus.PAYMENT_REQUIRED or _NO_CREDIT.search(complaint):
        return ModelQuotaExhausted("The account at the language model's provider has no credit or quota left")
    return ModelKeyRefused(_SET_A_KEY) if _INVALID_KEY.search(complaint) else None


def _about_text(status: int, complaint: str) -> ExternalServiceError | None:
    """Return the error if the provider refuses the essay's text and not the request."""
    if status in {*_OPTION_STATUSES, HTTPStatus.FORBIDDEN} and _REFUSED_TEXT.search(complaint):
        return TextRefused("The language model's provider refuses the text because of its content")
    possible = {*_OPTION_STATUSES, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR}
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or (status in possible and _TOO_LONG.search(complaint)):
        return TextTooLong("The text is too long for the language model")
    return None


def _transient_error(status: int, wait_s: float | None) -> ExternalServiceError:
    if wait_s is not None and wait_s > LONGEST_WAIT_S:
        return ModelBusy("The language model's provider asks for a long wait", retry_after_s=wait_s)
    return ModelUnavailable(f"The language model's provider responds with status {status}", retry_after_s=wait_s)


def _wait_s(headers: Mapping[str, str], complaint: str) -> float | None:
    """Return the wait in seconds (0..86,400) that the provider asks for; None without a readable one."""
    with suppress(KeyError, ValueError):
        if (wait_s := clamped(float(headers["retry-after-ms"]) / 1000)) is not None:
            return wait_s
    if "retry-after" in headers:
        return retry_after_s(headers["retry-after"], datetime.now(UTC))
    found = _RETRY_IN.search(complaint)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(each or 0) for each in found.groups())
    return clamped(3_600 * hours + 60 * minutes + seconds)


def _complaint(body: object) -> _Complaint:
    texts, named = [], set()
    for member, text in _explanations(body):
        texts.append(text.lower())
        if member in _NAMING:
            named.add(text.lower())
    return _Complaint(" ".join(texts)[:_COMPLAINT_CHARS], frozenset(named))


def _explanations(body: object) -> Iterator[tuple[str, str]]:
    """Yield each text that explains the failure with the name of its member, outer members first.

    Some providers include another provider's response as a JSON string in their own.
    """
    waiting = deque([("message", body)])
    for _ in range(_MOST_PARTS):
        if not waiting:
            return
        member, part = waiting.popleft()
        if isinstance(part, str):
            if part.startswith(("{", "[")):
                with suppress(NotReadable):
                    waiting.append((member, parse(part)))
                    continue
            yield member, part
        elif isinstance(part, list):
            waiting.extend((member, each) for each in part[:_MOST_PARTS])
        elif isinstance(part, dict):
            waiting.extend((name, part[name]) for name in _EXPLANATIONS if name in part)
