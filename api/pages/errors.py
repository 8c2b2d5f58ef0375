"""Errors as pages in plain words. Requests of scripts get the JSON of the API."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.pages.forms import WRITTEN_TEXTS, read_form
from api.pages.problem_texts import translated
from api.pages.rendering import render
from api.pages.routing import HEADERS, SAFE, PageRoute
from api.pages.session import OutdatedForm, check_origin, local_path, open_session, session_of
from api.pages.texts import gettext, mark, use_language_of
from api.pages.uploads import UPLOADS
from domain.errors import AppError, Forbidden, PasswordChangeRequired, Unauthenticated

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ErrorText:
    """`title` says what happened, `advice` what the user can do."""

    title: str
    advice: str


TEXTS: Final[Mapping[int, ErrorText]] = {
    400: ErrorText(mark("This request is not valid"), mark("Go back, check what you entered, and try again.")),
    401: ErrorText(mark("Your session has ended"), mark("Sign in again to continue.")),
    403: ErrorText(
        mark("You may not open this page"), mark("Sign in with another account, or ask your administrator.")
    ),
    404: ErrorText(mark("Page not found"), mark("Check the address. The page may also have been removed.")),
    409: ErrorText(mark("This is no longer possible"), mark("Something has changed since you opened the page.")),
    410: ErrorText(mark("This account is being deleted"), mark("Its data can no longer be read or changed.")),
    413: ErrorText(mark("That is too long"), mark("Shorten what you entered and send it again.")),
    429: ErrorText(mark("Too many requests"), mark("Wait a moment and try again.")),
    503: ErrorText(mark("The service is not available right now"), mark("Nothing is lost. Try again in a moment.")),
}
_OTHER: Final = ErrorText(
    mark("Something went wrong"), mark("Try again. If it happens again, tell your administrator.")
)
_OUTDATED: Final = ErrorText(mark("This form is out of date"), mark("You have signed in again since you opened it."))
_JSON: Final = "application/json"
_SESSION_TIMEOUT_S: Final = 2.0
_KEPT: Final = frozenset({"retry-after", "allow", "x-request-id"})
_EXPLAINED: Final = frozenset({403, 409})
"""Statuses whose error message is written for the user and is shown."""


def register(app: FastAPI) -> None:
    """Replace the error handlers by handlers that answer pages with HTML and everything else with JSON."""
    for kind in (AppError, Forbidden, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _with_pages(app.exception_handlers[kind]))


class ErrorPages:
    """Replace JSON errors that other middleware has written by pages, for browsers that ask for a page.

    These are the refusals of `CanonicalPath` and `ConcurrencyLimit`, and the 500 of `Correlation`. The error handlers
    have turned all other errors of pages into HTML already.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        replaced = False

        async def send_page(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_json_error(message):
                request = Request(scope, receive)
                if _is_page(request) and not _is_script(request):
                    replaced = True
                    await _error_page(request, message["status"], Headers(raw=message["headers"]))(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_page)


def _is_json_error(start: Message) -> bool:
    return start["status"] >= HTTPStatus.BAD_REQUEST and Headers(raw=start["headers"]).get("content-type") == _JSON


async def _reopen(request: Request) -> None:
    """Open the session for the page of a path that does not exist, so that it keeps the menu.

    Without a session, and also if it cannot be read, the page has no menu. The request counts towards the rate limit
    of reads before the session is read, because an unknown path has no other limit.
    """
    request.state.web_session = None
    try:
        async with asyncio.timeout(_SESSION_TIMEOUT_S):
            await request.app.state.limits.count(request, "error_page")
            request.state.web_session = await open_session(request)
    except Exception as error:  # noqa: BLE001  # the page of the error needs no session
        log.warning("error_page_without_session", error_type=type(error).__qualname__)


def _with_pages(as_json: Any) -> Any:  # noqa: ANN401  # Starlette's handlers are sync or async
    async def handle(request: Request, error: Exception) -> Response:
        made = as_json(request, error)
        response: Response = await made if hasattr(made, "__await__") else made
        if not _is_page(request) or _is_script(request):
            return response
        if isinstance(error, PasswordChangeRequired):
            return RedirectResponse("/account/password", 303)
        if isinstance(error, Unauthenticated):
            return await _sign_in_first(request)
        if request.scope.get("route") is None:
            await _reopen(request)
        return _page(request, error, response)

    return handle


def _is_page(request: Request) -> bool:
    """Return whether a page failed, or a browser asked for a path that does not exist."""
    route = request.scope.get("route")
    if route is not None:
        return isinstance(route, PageRoute)
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _is_script(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "") or "hx-request" in request.headers


async def _sign_in_first(request: Request) -> Response:
    """Redirect to the sign-in, which leads back. A text in a form is shown first, because a redirect would lose it."""
    target = _page_of(request)
    sign_in = f"/sign-in?{urlencode({'next': target})}" if target not in {"", "/"} else "/sign-in"
    page = request.scope["route"].name
    if request.method not in SAFE and page not in UPLOADS:  # a form with a file is large, and has no text
        try:
            check_origin(request)
            request.state.form = await read_form(request, page)
        except (AppError, HTTPException):
            pass  # a form that another site has sent, or that no page of this site can have sent
    if not _written(request):
        return RedirectResponse(sign_in, 303)
    use_language_of(request)
    return _error_page(request, 401, {}, link=(sign_in, gettext("Sign in")))


def _page_of(request: Request) -> str:
    """Return the path and the query of the page that was asked for, or of the page with the form that was sent."""
    if request.method in SAFE:
        return local_path(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
    host, _, path = request.headers.get("referer", "").partition("://")[2].partition("/")
    return local_path(f"/{path}") if host == request.headers.get("host", "") else ""


def _written(request: Request) -> list[str]:
    """Return the texts of the request's form."""
    form = getattr(request.state, "form", {})
    return [form[name] for name in WRITTEN_TEXTS if form.get(name, "").strip()]


def _page(request: Request, error: Exception, response: Response) -> Response:
    use_language_of(request)
    detail = translated(error.message) if isinstance(error, AppError) and response.status_code in _EXPLAINED else ""
    if isinstance(error, OutdatedForm):
        link = (_page_of(request) or "/", gettext("Open the page again"))
        return _error_page(request, response.status_code, response.headers, text=_OUTDATED, link=link)
    return _error_page(request, response.status_code, response.headers, detail)


def _error_page(  # noqa: PLR0913  # the parts of the page
    request: Request,
    status: int,
    headers: Mapping[str, str],
    detail: str = "",
    *,
    text: ErrorText | None = None,
    link: tuple[str, str] | None = None,
) -> Response:
    """Render the page of a status, with the texts of the form. Some of the headers of the JSON response are kept.

    `text` replaces the text of the status, and `link` (address and label) the link to the home page.
    """
    use_language_of(request)
    text = text or TEXTS.get(status, _OTHER)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and "x-request-id" in headers:
        detail = gettext("Reference for your administrator: %(id)s") % {"id": headers["x-request-id"]}
    if not hasattr(request.state, "web_session"):
        request.state.web_session = None
    page = render(
        request,
        "error.html",
        status,
        title=gettext(text.title),
        advice=gettext(text.advice),
        detail=detail,
        signed_in=session_of(request) is not None,
        link=link,
        written=_written(request),
    )
    for name, value in {**HEADERS, **{k: v for k, v in headers.items() if k in _KEPT}}.items():
        page.headers.setdefault(name, value)
    return page
