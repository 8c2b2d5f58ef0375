"""The route class of every route: access first, then the strict body, then FastAPI."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, OAuth2PasswordBearer

from api.middleware.strict_json import DEFAULT_LIMITS, MAX_BYTES, BodyLimits, StrictRequest, is_percent_text
from api.security.authorization import MAY_USE, admit
from api.security.rate_limits import EXEMPT
from domain.errors import InvalidInput, Problem, TemporarilyUnavailable

_CREDENTIALS = BodyLimits(max_bytes=16 * 1024)
BODIES = {
    "start_assessment": BodyLimits(max_values=3_000),  # 4 KiB of metadata
    "submit_responses": BodyLimits(max_values=6_000),  # 200 responses, with twenty choices each
    "import_credentials": BodyLimits(max_bytes=20 * MAX_BYTES, max_values=500_000),  # 10,000 rows, with 50 values each
    **dict.fromkeys(("create_token", "refresh_token", "log_out"), _CREDENTIALS),  # open to everybody
    "change_own_password": _CREDENTIALS,
}
"""The limits of routes that need others than the default, by name."""

TOKEN_URL = "/api/v1/auth/token"  # noqa: S105  # a path

# For the document only: `GuardedRoute` reads the header, before the body.
_bearer = HTTPBearer(scheme_name="bearerAuth", bearerFormat="JWT", auto_error=False)
_password = OAuth2PasswordBearer(TOKEN_URL, scheme_name="oauth2Password", auto_error=False)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class GuardedRoute(APIRoute):
    """FastAPI reads the body before it solves dependencies; here nobody's body is read before they are admitted."""

    def get_route_handler(self) -> Handler:
        """Raises KeyError for a route that `MAY_USE` does not name, which stops the start."""
        if self.name not in MAY_USE:
            raise KeyError(self.name)
        handler = super().get_route_handler()
        limits = BODIES.get(self.name, DEFAULT_LIMITS)
        takes_form = self.body_field is not None and isinstance(self.body_field.field_info, Form)
        takes_json = self.body_field is not None and not takes_form

        async def guarded(request: Request) -> Response:
            try:
                async with asyncio.timeout(request.app.state.request_timeout_s) as bound:
                    return await answered(request)
            except TimeoutError:
                if not bound.expired():
                    raise
                raise TemporarilyUnavailable("The request took too long; Retry-After tells when to try again") from None

        async def answered(request: Request) -> Response:
            try:
                await admit(request, self.name)
            finally:  # who is refused is counted too: by address, where nobody knows who it is
                await request.app.state.limits.count(request, self.name)
            if self.name not in EXEMPT:  # probes come as they are configured
                _check_query(request, self.dependant)
            strict = StrictRequest(request.scope, request.receive, request.app.state.body_timeout_s, limits)
            if takes_form and "content-type" in request.headers:  # FastAPI tells what is missing
                await strict.check_form()
            if takes_json:
                await strict.json()  # here, because FastAPI would hide its error behind a bare 400
            return await handler(strict)

        return guarded


def _check_query(request: Request, dependant: Dependant) -> None:
    """Of two values of one name readers take different ones; a name that is not known was meant for something."""
    items = request.query_params.multi_items()
    if not is_percent_text(request.scope["query_string"]):
        problem = "is not UTF-8"
    elif len({name for name, _ in items}) < len(items):
        problem = "holds a name twice"
    elif items and not dependant.query_params:
        problem = "has a field that is not known: none is"
    elif any("\0" in value for _, value in items):
        problem = "holds NUL"
    else:
        return
    raise InvalidInput("The request is not valid", (Problem("query", problem),))


def open_router(**options: Any) -> APIRouter:  # noqa: ANN401  # passed on to FastAPI
    """A router for routes that ask for no token."""
    return APIRouter(route_class=GuardedRoute, **options)


def router(**options: Any) -> APIRouter:  # noqa: ANN401  # passed on to FastAPI
    """A router whose routes ask for a token, and say so in the document."""
    return APIRouter(route_class=GuardedRoute, dependencies=[Security(_bearer), Security(_password)], **options)
