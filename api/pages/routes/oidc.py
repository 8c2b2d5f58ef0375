"""Sign in at the OIDC provider: redirect to it, and take its answer."""

import base64
import binascii
import secrets
from typing import Final

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from api.dependencies import Services, ServicesDep
from api.pages.rendering import see_other
from api.pages.routes.account import session_starter, sign_in_view
from api.pages.routing import page_router
from api.pages.session import local_path, set_cookie
from api.pages.texts import gettext
from api.public_address import public_url
from api.security.oidc import LoginAttempt, OidcProvider
from api.services.oidc_sign_in import sign_in_by_provider
from domain.errors import NotFound, Unauthenticated

PATH: Final = "/sign-in/provider"
CALLBACK: Final = f"{PATH}/callback"
LOGIN_S: Final = 600
"""Seconds for a login at the provider."""
_TOKEN_BYTES: Final = 32

oidc = page_router(prefix=PATH)


@oidc.get("")
async def provider_sign_in_page(request: Request, services: ServicesDep, next: str = "") -> Response:  # noqa: A002  # the name of the query parameter
    """Redirect to the provider. A cookie ties its answer to this browser."""
    provider, login = _provider(services), LoginAttempt(token=secrets.token_urlsafe(_TOKEN_BYTES))
    address = await provider.begin(login, _redirect_uri(request, services))
    response = RedirectResponse(address, 303)
    target = base64.urlsafe_b64encode(local_path(next).encode()).rstrip(b"=").decode()  # cookies have no `=`
    response.set_cookie(
        _cookie_name(request),
        f"{login.token}.{target}",
        max_age=LOGIN_S,
        secure=request.app.state.secure_cookies,
        httponly=True,
        samesite="lax",
    )
    return response


@oidc.get("/callback")
async def provider_callback_page(request: Request, services: ServicesDep) -> Response:
    """Check the provider's answer and start a session. The cookie of the login is deleted, also if it is refused."""
    provider = _provider(services)
    token, _, target = request.cookies.get(_cookie_name(request), "").partition(".")
    try:
        response = await _signed_in(request, provider, services, token, _decoded(target))
    except Unauthenticated:
        response = sign_in_view(request, 401, target="", errors=[("email", _problem(request, token))])
    response.delete_cookie(
        _cookie_name(request), secure=request.app.state.secure_cookies, httponly=True, samesite="lax"
    )
    return response


async def _signed_in(request: Request, provider: OidcProvider, services: Services, token: str, target: str) -> Response:
    if not token:
        raise Unauthenticated("There is no login in this browser")
    login, redirect_uri = LoginAttempt(token=token), _redirect_uri(request, services)
    identity = await provider.finish(login, request.query_params, redirect_uri)
    session = await sign_in_by_provider(identity, provider, services, session_starter(request))
    response = see_other(target or "/")
    set_cookie(request, response, session)
    return response


def _problem(request: Request, token: str) -> str:
    if token and (error := request.query_params.get("error")):
        if error == "access_denied":
            return gettext("The sign-in was cancelled.")
        return gettext("The provider could not sign you in. Try again later, or ask your administrator.")
    if not token or request.query_params.get("state") != LoginAttempt(token=token).state:
        return gettext("This sign-in has expired, or was started in another browser. Try again.")
    return gettext(
        "You could not be signed in: no account here has the verified address of your login. Ask your administrator."
    )


def _provider(services: Services) -> OidcProvider:
    if services.oidc is None:
        raise NotFound("No provider is configured")
    return services.oidc


def _redirect_uri(request: Request, services: Services) -> str:
    return public_url(request, services.settings) + CALLBACK


def _cookie_name(request: Request) -> str:
    return "__Host-microcred-login" if request.app.state.secure_cookies else "microcred-login"


def _decoded(target: str) -> str:
    """Return the page to open afterwards. The cookie is checked again, because a browser's user may change it."""
    try:
        return local_path(base64.urlsafe_b64decode(f"{target}==").decode())
    except (binascii.Error, ValueError):
        return ""
