"""Return 405 with a complete `Allow` header for methods that a path does not support.

FastAPI names the methods of one route only. It also matches `GET /assessments/start` with
`/assessments/{assessment_id}`, although OpenAPI gives paths without parameters precedence.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NoReturn

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import Receive, Scope, Send


def add_routes(app: FastAPI) -> None:
    """Refuse the methods that no `APIRoute` of the same path supports."""
    supported = defaultdict[str, set[str]](set)
    for route in app.routes:
        if isinstance(route, APIRoute):
            supported[route.path].update(route.methods or ())
    app.router.routes.insert(0, _FixedPaths({path: each for path, each in supported.items() if "{" not in path}))
    app.router.routes.extend(_refusal(path, each) for path, each in supported.items() if "{" in path)


class _FixedPaths(BaseRoute):
    """Match the unsupported methods of all paths without parameters. A route for each would slow down every request."""

    def __init__(self, supported: Mapping[str, Collection[str]]) -> None:
        self._supported = supported

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        supported = self._supported.get(scope["path"]) if scope["type"] == "http" else None
        refused = supported is not None and scope["method"] not in supported
        return (Match.FULL if refused else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # Starlette's signature
        _refuse(self._supported[scope["path"]])

    def url_path_for(self, name: str, /, **path_params: object) -> NoReturn:
        raise NoMatchFound(name, path_params)


def _refusal(path: str, supported: Collection[str]) -> Route:
    """Return a route that refuses each method. It is the last route of its path."""

    async def refuse(_: Request) -> NoReturn:
        _refuse(supported)

    route = Route(path, refuse, include_in_schema=False)
    route.methods = None  # all methods
    return route


def _refuse(supported: Collection[str]) -> NoReturn:
    raise HTTPException(405, headers={"Allow": ", ".join(sorted(supported))})
