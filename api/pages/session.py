"""The session cookie of the pages, and the protection of forms against requests from other sites."""

import hmac
from dataclasses import dataclass, field
from typing import Final, cast

from fastapi import Request, Response

from api.routes.auth import principal_of
from api.security.tokens import Principal
from domain.errors import Forbidden
from domain.tokens import TOKEN_BYTES
from persistence.queries.views import WebSessionView
from persistence.repositories.web_sessions import LIFETIME

SECURE_COOKIE: Final = "__Host-microcred"
"""Browsers accept this name only with `Secure`, with the path `/` and without a domain."""
PLAIN_COOKIE: Final = "microcred"
"""The name in development, over plain HTTP: not every browser accepts `Secure` cookies of http://localhost."""
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
_MAX_TOKEN_CHARS: Final = TOKEN_BYTES * 2


class OutdatedForm(Forbidden):
    """A form has the token of another session, for example because the user has signed in again meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """A valid session. `csrf` is derived from the token, so that it needs no storage and does not reveal the token."""

    view: WebSessionView
    principal: Principal
    csrf: str
    token: str = field(repr=False)


async def open_session(request: Request) -> BrowserSession | None:
    """Return the session of the request's cookie; None without a valid one."""
    token = request.cookies.get(_cookie_name(request), "")
    if not token or len(token) > _MAX_TOKEN_CHARS:
        return None
    view = await request.app.state.services.pages.sessions.use(token)
    if view is None:
        return None
    return BrowserSession(view=view, principal=principal_of(view), csrf=csrf_of(token), token=token)


def session_of(request: Request) -> BrowserSession | None:
    """Return the session that the route has opened."""
    return cast("BrowserSession | None", getattr(request.state, "web_session", None))


def csrf_of(token: str) -> str:
    return hmac.digest(token.encode(), b"csrf", "sha256").hex()


def set_cookie(request: Request, response: Response, token: str) -> None:
    response.set_cookie(
        _cookie_name(request),
        token,
        max_age=int(LIFETIME.total_seconds()),
        secure=_secure(request),
        httponly=True,
        samesite="lax",
    )


async def end_session(request: Request, response: Response) -> None:
    """End the session of this browser, if it has one, and delete its cookie."""
    if session := session_of(request):
        async with request.app.state.services.database.transaction() as uow:
            await uow.web_sessions.end(session.token)
            await uow.commit()
    response.delete_cookie(_cookie_name(request), secure=_secure(request), httponly=True, samesite="lax")


def check_origin(request: Request) -> None:
    """Check that a request that changes something comes from a page of this host.

    Browsers send `Origin` with every POST; a proxy may change the scheme, so only host and port are compared.

    Raises:
        Forbidden: it comes from another site, or does not say where it comes from.
    """
    host = request.headers.get("host", "")
    _, _, origin_host = request.headers.get("origin", "").partition("://")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if origin_host != host or not host or site not in {"same-origin", "none"}:
        raise Forbidden("The form was sent from another site")


def check_csrf(session: BrowserSession, offered: str) -> None:
    """Check the token of a form.

    Raises:
        OutdatedForm: it is not the token of this session.
    """
    if not hmac.compare_digest(session.csrf.encode(), offered.encode("utf-8", "replace")):
        raise OutdatedForm("The form is out of date. Open the page again and repeat what you did")


def local_path(target: str) -> str:
    """Return a path of this site, for a link or a redirect; "" for anything else."""
    is_path = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if is_path else ""


def _secure(request: Request) -> bool:
    return bool(request.app.state.secure_cookies)


def _cookie_name(request: Request) -> str:
    return SECURE_COOKIE if _secure(request) else PLAIN_COOKIE
