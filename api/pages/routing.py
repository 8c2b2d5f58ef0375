"""The route class of all pages: session, permission, rate limit and form checks, then FastAPI."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api.middleware.strict_json import is_percent_text
from api.pages.forms import read_form
from api.pages.permissions import BEFORE_PASSWORD_CHANGE, PAGE_PERMISSIONS, may_open
from api.pages.session import CSRF_FIELD, CSRF_HEADER, check_csrf, check_origin, open_session
from api.pages.texts import use_language_of
from api.security.rate_limits import LOGIN
from domain.errors import Forbidden, InvalidInput, PasswordChangeRequired, Problem, TemporarilyUnavailable
from domain.errors import Unauthenticated as SignInRequired

SAFE: Final = frozenset({"GET", "HEAD"})
_COUNTED_AS: Final = dict.fromkeys(
    ("sign_in_form", "set_password_form", "provider_sign_in_page", "provider_callback_page"), LOGIN
)
"""Pages that count towards the rate limit of a REST route."""
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    # Not no-referrer: browsers would send `Origin: null` with forms, and the origin could not be checked.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route of a page. `request.state` receives `web_session`, `principal` and, for forms, `form`."""

    def get_route_handler(self) -> Handler:
        """Build the handler; raise KeyError at startup for a page that `PAGE_PERMISSIONS` does not list."""
        permissions = PAGE_PERMISSIONS[self.name]
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                async with asyncio.timeout(request.app.state.request_timeout_s) as bound:
                    response = await answered(request)
            except TimeoutError:
                if not bound.expired():
                    raise
                raise TemporarilyUnavailable("The page took too long to load. Try again in a moment") from None
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        async def answered(request: Request) -> Response:
            try:
                await _authorize(request, self.name, public=permissions is None)
            finally:
                await request.app.state.limits.count(request, _COUNTED_AS.get(self.name, self.name))
            use_language_of(request)
            _check_query(request)
            if request.method not in SAFE:
                check_origin(request)
                request.state.form = await read_form(request, self.name)
                if request.state.web_session is not None:
                    offered = request.headers.get(CSRF_HEADER) or request.state.form.get(CSRF_FIELD, "")
                    check_csrf(request.state.web_session, offered)
            return await handler(request)

        return guarded


async def _authorize(request: Request, page: str, *, public: bool) -> None:
    """Open the session and check its permissions. A public page works with and without a session.

    Raises:
        Unauthenticated: there is no valid session.
        PasswordChangeRequired: the user must choose a new password first.
        Forbidden: the user's role does not allow the page.
    """
    session = await open_session(request)
    request.state.web_session = session
    if session is not None:
        request.state.principal = session.principal
    if public:
        return
    if session is None:
        raise SignInRequired("Sign in to open this page")
    if session.principal.must_change_password and page not in BEFORE_PASSWORD_CHANGE:
        raise PasswordChangeRequired("Choose a new password first")
    if not may_open(session.principal, page):
        raise Forbidden("Your role may not open this page")


def _check_query(request: Request) -> None:
    if not is_percent_text(request.scope["query_string"]) or any(
        "\0" in each for each in request.query_params.values()
    ):
        raise InvalidInput("The request is not valid", (Problem("query", "is not valid text"),))


def page_router(**options: Any) -> APIRouter:  # noqa: ANN401  # passed on to FastAPI
    """Create a router for pages. They are not part of the OpenAPI document."""
    return APIRouter(route_class=PageRoute, include_in_schema=False, **options)
