"""Response headers and CORS, and the HTTP settings of the API."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.documentation_pages import ASSETS, DOCUMENT, PAGES
from api.security.client_address import TrustedProxies, parse_networks

_PLAIN: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_JSON_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
# Swagger UI and ReDoc start with an inline script and show only the API's own document.
_PAGE_POLICY: Final = (
    "default-src 'none'; connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none';"
    " script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
_PUBLIC: Final = PAGES | {DOCUMENT}
_YEAR_S: Final = 365 * 24 * 3600
PREFLIGHT_S: Final = 600
EXPOSED: Final = (
    "X-Request-Id",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Idempotent-Replayed",
    "Preference-Applied",
)
"""Response headers that scripts of allowed origins may read."""


def _origins(value: str) -> str:
    for origin in origins(value):
        scheme, _, rest = origin.partition("://")
        if scheme not in {"http", "https"} or set(rest) & set("/*?#@ ") or not _names_host(origin):
            raise ValueError("must be origins such as https://app.example.org, separated by commas")
    return value


def _names_host(url: str) -> bool:
    """Return whether the URL has a host and a valid port, if any."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _networks(value: str) -> str:
    parse_networks(value)
    return value


def origins(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]


class HttpSettings(BaseSettings):
    """HTTP settings of the API, from environment variables.

    CORS_ORIGINS: origins whose pages may call the API. TRUSTED_PROXIES: addresses and CIDRs. Both are comma-separated
    and empty by default.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    microcred_env: Literal["development", "staging", "production"] = "production"
    cors_origins: Annotated[str, AfterValidator(_origins)] = ""
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = ""
    api_max_requests: int = Field(default=500, ge=1)
    """Maximum number of concurrent requests. Further requests get 503 at once."""
    api_max_streams: int = Field(default=2000, ge=1)
    """Maximum number of open event streams and waits for results. They do not count as concurrent requests."""
    api_body_timeout_s: float = Field(default=30.0, gt=0)
    """Time from the end of the headers to the end of the body."""
    api_request_timeout_s: float = Field(default=60.0, gt=0)
    """Time from the end of the headers to the response. It covers calls without a timeout of their own."""

    api_pages: bool = True
    """Whether the web pages are served. `off` leaves only the JSON API."""

    @property
    def origins(self) -> list[str]:
        return origins(self.cors_origins)

    @property
    def proxies(self) -> TrustedProxies:
        return TrustedProxies(parse_networks(self.trusted_proxies))


def allow_origins(app: Starlette, allowed: Sequence[str]) -> None:
    """Allow pages of these origins to call the API with a bearer token, without cookies."""
    if allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Prefer", "X-Namespace", "X-Request-Id"],
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_S,
        )


class ResponseHeaders:
    """Add the headers that all responses share. Headers that a route sets are not changed."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self._proxies = settings.proxies
        self._strict_transport = settings.microcred_env != "development"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        added = self._added(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**added, **state.get("rate_limit", {})}.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _added(self, scope: Scope) -> dict[str, str]:
        path = scope["path"]
        added = _PLAIN | {"Content-Security-Policy": _PAGE_POLICY if path in PAGES else _JSON_POLICY}
        if path not in _PUBLIC and not path.startswith(f"{ASSETS}/"):
            added["Cache-Control"] = "no-store"
        if self._strict_transport and self._proxies.is_https(scope):
            added["Strict-Transport-Security"] = f"max-age={_YEAR_S}"
        return added
