"""Return 405 with a complete `Allow` header for methods that a path does not support.

FastAPI names the methods of one route only. It also matches `GET /assessments/start` with
`/assessments/{assessment_id}`, although OpenAPI gives paths without parameters precedence.
"""

from collections import defaultdict
from typing import Final, NoReturn

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})


def add_routes(app: FastAPI) -> None:
    """Add a 405 route for the unsupported methods of the path of every `APIRoute`."""
    taken = defaultdict[str, set[str]](set)
    for route in app.routes:
        if isinstance(route, APIRoute):
            taken[route.path].update(route.methods or ())
    for path, methods in taken.items():
        refusal = _refusal(path, methods)
        if "{" in path:
            app.router.routes.append(refusal)
        else:
            app.router.routes.insert(0, refusal)


def _refusal(path: str, methods: set[str]) -> Route:
    allow = ", ".join(sorted(methods))

    async def refuse(_: Request) -> NoReturn:
        raise HTTPException(405, headers={"Allow": allow})

    return Route(path, refuse, methods=sorted(METHODS - methods), include_in_schema=False)
