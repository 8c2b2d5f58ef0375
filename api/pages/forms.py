"""Read the bodies of forms: bounded, in UTF-8 and without duplicate names. `uploads` reads forms with a file."""

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias, cast
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from api.middleware.strict_json import BodyLimits, StrictRequest
from api.pages.uploads import UPLOADS, read_upload
from domain.errors import InvalidInput, Problem

_SMALL: Final = BodyLimits(max_bytes=16 * 1024)
LIMITS: Final[Mapping[str, BodyLimits]] = {
    "answer_form": BodyLimits(max_bytes=256 * 1024),  # 20,000 characters of twelve bytes each
    "autosave": BodyLimits(max_bytes=256 * 1024),
    "appeal_form": BodyLimits(max_bytes=32 * 1024),  # 2,000 characters of twelve bytes each
    "feedback_form": BodyLimits(max_bytes=32 * 1024),
    "request_rescore_form": BodyLimits(max_bytes=32 * 1024),  # a reason of 2,000 characters
    "answer_appeal_form": BodyLimits(max_bytes=64 * 1024),  # a message of 2,000 characters
    "decision_form": BodyLimits(max_bytes=64 * 1024),  # a comment of 4,000 characters
}
"""Limits of a form by page name, where they differ from 16 KiB."""
MAX_FIELDS: Final = 200
WRITTEN_TEXTS: Final = ("answer", "reason", "message", "comment", "comments", "versions")
"""Names of the fields for long texts. The page of an error shows them, so that they can be copied."""

Form: TypeAlias = Mapping[str, str]


async def read_form(request: Request, page: str) -> Form:
    """Return the fields of a form.

    Raises:
        InvalidInput: there are too many fields, a name occurs twice, or the body is not UTF-8 or has NUL characters.
        HTTPException: 408, 413 or 415, as `StrictRequest.parsed` does.
    """
    strict = StrictRequest(request.scope, request.receive, request.app.state.body_timeout_s, LIMITS.get(page, _SMALL))
    if "content-type" not in request.headers and request.headers.get("content-length", "0") == "0":
        return {}
    if page in UPLOADS:
        return await read_upload(request, page)
    await strict.check_form()
    try:
        fields = parse_qsl((await strict.body()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _invalid("has too many fields") from None
    if any("\0" in value for _, value in fields):
        raise _invalid("contains a NUL character")
    return dict(fields)


async def _form(request: Request) -> Form:
    return cast(Form, request.state.form)


FormDep = Annotated[Form, Depends(_form)]
"""The fields of the request's form. The route has checked its origin and its CSRF token."""


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("The form is not valid", (Problem("body", problem),))
