"""The OpenAPI document: FastAPI's, without the answers that this API never gives."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

TITLE: Final = "AI Micro-Credential Assessment API"
VERSION: Final = "0.1.0"
DESCRIPTION: Final = """\
REST API powering asynchronous assessments, scoring, and recommendations.

Errors are `{"error_code", "message"}`, with `details` for fields. Invalid input is 400, a wrong state 409; what is not
the caller's answers 404 exactly as if it did not exist. Every answer to a request whose head could be read carries
`X-Request-Id`.
"""
TAGS: Final = [
    {"name": "Authentication", "description": "Access tokens by the OAuth2 password form, and rotating refresh tokens"},
    {"name": "Organizations", "description": "Partners"},
    {"name": "People", "description": "Their accounts, and the credentials that people hold already"},
    {"name": "API keys", "description": "What an organization's machines log in with; see docs/identity.md"},
    {"name": "Audit", "description": "Who did what; rows are only ever added"},
    {"name": "Roles", "description": "Role tracks and their skill targets"},
    {"name": "Assessments", "description": "Start, answer, follow"},
    {"name": "Recommendations", "description": "Results and what people make of them"},
    {"name": "Catalog", "description": "Micro-credentials"},
    {"name": "Webhooks", "description": "Partners' endpoints and the log of deliveries; see docs/webhooks.md"},
    {"name": "Health", "description": "Liveness and readiness"},
]


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


_NEVER_GIVEN: Final = "422"
"""For invalid input; a reused idempotency key gets it, and says so itself."""
_ITS_DESCRIPTION: Final = "Validation Error"
_ITS_SCHEMAS: Final = ("HTTPValidationError", "ValidationError")


HEADERS: Final = {
    "X-Request-Id": _header(
        "Finds the request in the log; the caller's own where it has 8 to 64 letters, digits and hyphens"
    ),
    "RateLimit-Policy": _header('The limit: `"writes";q=60;w=60` lets 60 requests through in 60 seconds'),
    "RateLimit": _header('What is left of it: `"writes";r=59;t=42` are 59 requests in the next 42 seconds'),
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}},
    "Idempotent-Replayed": _header("`true`: this is the answer that the key's first request got"),
}
_LIMITED: Final = ("RateLimit-Policy", "RateLimit")
_WAITS: Final = frozenset({"429", "503"})
_UNREAD: Final = "431"
"""Given by the connection, which knows of no limits and no ids."""


def install(app: FastAPI) -> None:
    """Replaces the app's document; it is made once, when first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes, tags=TAGS, servers=[{"url": "/"}]
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.setdefault("security", [])  # said aloud: no token is asked for
            if operation["responses"].get(_NEVER_GIVEN, {}).get("description") == _ITS_DESCRIPTION:
                del operation["responses"][_NEVER_GIVEN]
            _name_headers(operation)
    document["components"]["headers"] = HEADERS
    for schema in _ITS_SCHEMAS:
        document["components"]["schemas"].pop(schema, None)
    return document


def _name_headers(operation: dict[str, Any]) -> None:
    keyed = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    limited = "429" in operation["responses"]
    for status, response in operation["responses"].items():
        if status == _UNREAD:
            continue
        names = ["X-Request-Id", *(_LIMITED if limited and status not in _WAITS - {"429"} else ())]
        names += ["Retry-After"] * (status in _WAITS or (keyed and status == "409"))
        names += ["Idempotent-Replayed"] * (keyed and status.startswith("2"))
        own = response.get("headers", {})
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names} | own
