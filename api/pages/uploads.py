"""Read forms with a file (multipart), with the size limit of the REST route that takes the same file."""

from collections.abc import Mapping
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from api.middleware.routing import BODIES
from api.middleware.strict_json import BodyLimits, StrictRequest
from domain.errors import InvalidInput, Problem

MULTIPART: Final = "multipart/form-data"
UPLOADS: Final[Mapping[str, str]] = {
    "roster_form": "import_users",
    "catalog_import_form": "import_credentials",
}
"""Page name to the name of the REST route whose size limit applies to the file."""
_OTHER_PARTS_BYTES: Final = 16 * 1024
_MAX_FIELDS: Final = 10


async def read_upload(request: Request, page: str) -> Mapping[str, str]:
    """Return the fields of the form, and set `request.state.upload` to the bytes of its file; b"" without a file.

    Raises:
        InvalidInput: it is not a valid form, has several files or too many fields, or a name occurs twice.
        HTTPException: 408, 413 or 415, as `StrictRequest.parsed` does.
    """
    max_bytes = BODIES[UPLOADS[page]].max_bytes
    limits = BodyLimits(max_bytes=max_bytes + _OTHER_PARTS_BYTES)
    strict = StrictRequest(request.scope, request.receive, request.app.state.body_timeout_s, limits)
    strict.media_type({MULTIPART})
    try:
        async with strict.form(max_files=1, max_fields=_MAX_FIELDS, max_part_size=max_bytes) as form:
            items = form.multi_items()
            fields = {name: value for name, value in items if isinstance(value, str)}
            files = [value for _, value in items if isinstance(value, UploadFile)]
            request.state.upload = await files[0].read() if files else b""
    except HTTPException as error:
        if error.status_code != 400:  # noqa: PLR2004  # Starlette's status for a body that is not multipart
            raise
        raise _invalid("is not a valid form") from None
    if len(fields) + len(files) < len(items):
        raise _invalid("has a duplicate name")
    if any("\0" in value for value in fields.values()):
        raise _invalid("contains a NUL character")
    return fields


async def _upload(request: Request) -> bytes:
    return cast(bytes, request.state.upload)


UploadDep = Annotated[bytes, Depends(_upload)]
"""The bytes of the file in the request's form; b"" without one."""


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("The form is not valid", (Problem("body", problem),))
