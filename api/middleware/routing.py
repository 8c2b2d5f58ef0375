"""The route class of all routes: authorization and rate limit first, then strict parsing, then FastAPI.

Also responses to HEAD requests, and 405 responses for the methods that no route of a path supports.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping
from copy import copy
from typing import Any, Final, NoReturn

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from api.middleware.concurrency_limit import STREAMS
from api.middleware.strict_json import DEFAULT_LIMITS, MAX_BYTES, BodyLimits, StrictRequest, is_percent_text
from api.security.authorization import ROUTE_PERMISSIONS, authorize
from api.security.rate_limits import EXEMPT
from domain.errors import InvalidInput, Problem, TemporarilyUnavailable

_CREDENTIALS = BodyLimits(max_bytes=16 * 1024)
BODIES = {
    "start_assessment": BodyLimits(max_values=3_000),  # 4 KiB of metadata
    "release_assessments": BodyLimits(max_values=1_100),  # 1,000 ids
    "submit_responses": BodyLimits(max_values=6_000),  # 200 responses, with twenty choices each
    "add_cohort_members": BodyLimits(max_values=600),  # 500 ids
    "decode_payloads": BodyLimits(max_bytes=5 * MAX_BYTES, max_values=50_000),  # a page of a history
    "import_users": BodyLimits(max_bytes=5 * MAX_BYTES),  # 10,000 rows with 500 bytes each
    "import_credentials": BodyLimits(max_bytes=20 * MAX_BYTES, max_values=500_000),  # 10,000 rows, with 50 values each
    **dict.fromkeys(("create_token", "refresh_token", "log_out", "use_link"), _CREDENTIALS),  # no token needed
    "change_own_password": _CREDENTIALS,
}
"""Body limits by route name, where they differ from the default."""

PREFIX: Final = "/api/v1"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class GuardedRoute(APIRoute):
    """A route that authorizes a request before it reads the body. FastAPI reads the body before dependencies."""

    def get_route_handler(self) -> Handler:
        """Build the handler; raise KeyError at startup for a route that `ROUTE_PERMISSIONS` does not list."""
        if self.name not in ROUTE_PERMISSIONS:
            raise KeyError(self.name)
        self.response_model_exclude_none = getattr(self.response_model, "omits_none", True)
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
                raise TemporarilyUnavailable(
                    "The request took too long. Try again after the seconds in Retry-After"
                ) from None

        async def answered(request: Request) -> Response:
            try:
                await authorize(request, self.name)
            finally:  # rejected requests count too: by address if the client is not authenticated
                await request.app.state.limits.count(request, self.name)
            if self.name not in EXEMPT:  # probes and scrapers may send any query
                _check_query(request, self.dependant)
            strict = StrictRequest(request.scope, request.receive, request.app.state.body_timeout_s, limits)
            if takes_form and "content-type" in request.headers:  # without one, FastAPI reports the missing fields
                await strict.check_form()
            if takes_json:
                await strict.json()  # here, because FastAPI would replace its error by a 400 without details
            return await handler(strict)

        return guarded


def _check_query(request: Request, dependant: Dependant) -> None:
    """Reject duplicate names, which parsers read differently, and any parameter of a route that takes none."""
    items = request.query_params.multi_items()
    if not is_percent_text(request.scope["query_string"]):
        problem = "is not UTF-8"
    elif len({name for name, _ in items}) < len(items):
        problem = "has a duplicate name"
    elif items and not dependant.query_params:
        problem = "has an unknown field: this route takes no query parameters"
    elif any("\0" in value for _, value in items):
        problem = "contains a NUL character"
    else:
        return
    raise InvalidInput("The request is not valid", (Problem("query", problem),))


def router(prefix: str = "", **options: Any) -> APIRouter:  # noqa: ANN401  # passed on to FastAPI
    """Create a router for routes below `PREFIX`."""
    return root_router(prefix=PREFIX + prefix, **options)


def root_router(**options: Any) -> APIRouter:  # noqa: ANN401  # passed on to FastAPI
    """Create a router for routes outside `PREFIX`."""
    return APIRouter(route_class=GuardedRoute, generate_unique_id_function=_name, **options)


def _name(route: APIRoute) -> str:
    return route.name


def answer_head_requests(app: FastAPI) -> None:
    """Answer HEAD like GET (RFC 9110, section 9.3.2), except for event streams, which a HEAD request would keep open.

    FastAPI does not do this. The server leaves out the body. The copies of the routes follow all other routes, so that
    other requests do not try them, and they are not part of the OpenAPI document.
    """
    for route in list(app.routes):
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and not route.path.endswith(STREAMS):
            head = copy(route)
            head.methods, head.include_in_schema = {"HEAD"}, False
            app.router.routes.append(head)


def refuse_other_methods(app: FastAPI) -> None:
    """Answer unsupported methods of a path with 405 and all of its supported methods in `Allow`.

    FastAPI names the methods of one route only. It also matches `GET /assessments/start` with
    `GET /assessments/{assessment_id}`.
    """
    supported = defaultdict[str, set[str]](set)
    for route in app.routes:
        if isinstance(route, APIRoute):
            supported[route.path].update(route.methods or ())
    app.router.routes.insert(0, _FixedPaths({path: each for path, each in supported.items() if "{" not in path}))
    app.router.routes.extend(_refusal(path, each) for path, each in supported.items() if "{" in path)


class _FixedPaths(BaseRoute):
    """Match the unsupported methods of all paths without parameters.

    With a route for each path, every request would try all of their patterns.
    """

    def __init__(self, supported: Mapping[str, Collection[str]]) -> None:
        self._supported = supported

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        supported = self._supported.get(scope["path"]) if scope["type"] == "http" else None
        refused = supported is not None and scope["method"] not in supported
        return (Match.FULL if refused else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # Starlette's signature
        _refuse(self._supported[scope["path"]])


def _refusal(path: str, supported: Collection[str]) -> Route:
    """Return a route that refuses each method. It is the last route of its path."""

    async def refuse(_: Request) -> NoReturn:
        _refuse(supported)

    route = Route(path, refuse, include_in_schema=False)
    route.methods = None  # all methods
    return route


def _refuse(supported: Collection[str]) -> NoReturn:
    raise HTTPException(405, headers={"Allow": ", ".join(sorted(supported))})
