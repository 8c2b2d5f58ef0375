"""The OpenAPI document, Swagger UI at `/docs` and ReDoc at `/redoc`.

Their scripts and styles come from a package, not from another host.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

SWAGGER_UI: Final = "/docs"
OAUTH2_REDIRECT: Final = f"{SWAGGER_UI}/oauth2-redirect"
REDOC: Final = "/redoc"
ASSETS: Final = f"{SWAGGER_UI}/assets"
DOCUMENT: Final = "/openapi.json"
PAGES: Final = frozenset({SWAGGER_UI, OAUTH2_REDIRECT, REDOC})


def install(app: FastAPI) -> None:
    """Add the document, the pages and their assets to an app that was created without FastAPI's own ones.

    The document is rendered once. FastAPI renders it for each request, which takes 70 ms of the event loop, and
    requests for it need no token and have no rate limit.
    """
    swagger_ui = get_swagger_ui_html(
        title=f"{app.title}: Swagger UI",
        openapi_url=DOCUMENT,
        oauth2_redirect_url=OAUTH2_REDIRECT,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )
    redoc = get_redoc_html(
        title=f"{app.title}: ReDoc",
        openapi_url=DOCUMENT,
        redoc_js_url=f"{ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{ASSETS}/favicon.png",
        with_google_fonts=False,
    )
    oauth2_redirect = get_swagger_ui_oauth2_redirect_html()
    _add(app, DOCUMENT, cache(lambda: JSONResponse(app.openapi())))
    _add(app, SWAGGER_UI, lambda: swagger_ui)
    _add(app, OAUTH2_REDIRECT, lambda: oauth2_redirect)
    _add(app, REDOC, lambda: redoc)
    app.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="documentation_assets")


def _add(app: FastAPI, path: str, content: Callable[[], Response]) -> None:
    async def show(_: Request) -> Response:
        return content()

    app.add_route(path, show, include_in_schema=False)
