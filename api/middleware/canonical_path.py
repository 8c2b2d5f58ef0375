"""Reject paths that are not in canonical form."""

import re
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import error_body

_NEEDLESSLY_ENCODED: Final = re.compile(rb"%(?:2[5DEF]|3[0-9B]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE)
"""Encoded letters, digits, `-._~` and separators: `/`, a backslash, `;` and `%`.

Other encoded characters reach the routes, which reject them as part of an id.
"""
_FORBIDDEN_BYTES: Final = frozenset(b";\\")
_PROBLEM: Final = "must not contain `;`, a backslash, empty or dot segments, or encoded letters, digits, `-._~/`, `%`"


class CanonicalPath:
    """Reject paths that are not in canonical form, before routing.

    The server decodes `%2F` and `%65` before routing. A proxy may compare the undecoded path, so its rule for
    `/api/v1/me` would not apply to `/api/v1%2Fme`. No path of this service needs such an encoding.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_canonical(scope.get("raw_path") or b""):
            await self._app(scope, receive, send)
            return
        details = [{"field": "path", "problem": _PROBLEM}]
        refusal = JSONResponse(error_body("VALIDATION_400", "The request is not valid", details), 400)
        await refusal(scope, receive, send)


def _is_canonical(raw_path: bytes) -> bool:
    """Return whether the path has no needless encoding, no `;`, no backslash, and no empty or dot segments."""
    segments = raw_path.split(b"/")[1:]
    return not (
        _NEEDLESSLY_ENCODED.search(raw_path)
        or {b".", b".."} & set(segments)
        or b"" in segments[:-1]
        or set(raw_path) & _FORBIDDEN_BYTES
    )
