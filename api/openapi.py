"""The OpenAPI document: FastAPI's, with response headers and without responses that this API never sends."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.middleware.routing import PREFIX
from api.security.authorization import PUBLIC, ROUTE_PERMISSIONS

TITLE: Final = "AI Micro-Credential Assessment API"
VERSION: Final = "0.1.0"
DESCRIPTION: Final = """\
REST API powering asynchronous assessments, scoring, and recommendations.

Errors are `{"error_code", "message"}`, with `details` for fields. Invalid input returns 400, a conflict with the
current state 409. A resource that the caller may not see returns 404, as if it did not exist. Every response has
`X-Request-Id`, unless the request's headers could not be read.
"""
TAGS: Final = [
    {"name": "Authentication", "description": "Access tokens by OAuth2 password login, and rotating refresh tokens"},
    {"name": "Organizations", "description": "Training providers that use this service"},
    {"name": "People", "description": "User accounts, and the credentials that users already hold"},
    {"name": "Cohorts", "description": "Named groups of an organization's students"},
    {"name": "API keys", "description": "Authentication of an organization's machines. See docs/identity.md"},
    {"name": "Audit", "description": "The append-only audit trail of actions"},
    {"name": "Roles", "description": "Role tracks and their skill targets"},
    {"name": "Assessments", "description": "Start an assessment, answer it, and follow its status"},
    {"name": "Recommendations", "description": "Results, recommendations, reviews and feedback"},
    {"name": "Quality", "description": "Agreement with reviewers, item analysis, fairness. See docs/quality.md"},
    {"name": "Catalog", "description": "Micro-credentials"},
    {"name": "Webhooks", "description": "Webhook endpoints and the log of deliveries. See docs/webhooks.md"},
    {
        "name": "Operations",
        "description": "Decryption of workflow histories, for Temporal's Web UI. See docs/deploying.md",
    },
    {"name": "Health", "description": "Liveness and readiness"},
]


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


_NEVER_GIVEN: Final = "422"
"""FastAPI documents 422 for invalid input; this API returns 400. Only a reused idempotency key gets 422."""
_ITS_DESCRIPTION: Final = "Validation Error"
_ITS_SCHEMAS: Final = ("HTTPValidationError", "ValidationError")


HEADERS: Final = {
    "X-Request-Id": _header(
        "The id of the request in the log: the caller's own if it has 8 to 64 letters, digits and hyphens"
    ),
    "RateLimit-Policy": _header('The limit: `"writes";q=60;w=60` allows 60 requests in 60 seconds'),
    "RateLimit": _header('What remains of the limit: `"writes";r=59;t=42` allows 59 requests in the next 42 seconds'),
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}},
    "Idempotent-Replayed": _header(
        "`true`: this is the stored response to the first request with this idempotency key"
    ),
}
SECURITY_SCHEMES: Final = {
    "bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "oauth2Password": {
        "type": "oauth2",
        "flows": {"password": {"scopes": {}, "tokenUrl": f"{PREFIX}/auth/token"}},
    },
}
"""Both accept the same token. With `oauth2Password`, Swagger UI requests one with a password."""
_LIMITED: Final = ("RateLimit-Policy", "RateLimit")
_WAITS: Final = frozenset({"429", "503"})
_UNREAD: Final = "431"
"""The connection sends this status before rate limits and request ids apply."""


def install(app: FastAPI) -> None:
    """Replace the app's document. It is built on the first request for it."""

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
            if operation["responses"].get(_NEVER_GIVEN, {}).get("description") == _ITS_DESCRIPTION:
                del operation["responses"][_NEVER_GIVEN]
            _name_headers(operation)
            is_public = ROUTE_PERMISSIONS[operation["operationId"]] is PUBLIC
            operation["security"] = [] if is_public else [{name: []} for name in SECURITY_SCHEMES]
    document["components"] |= {"securitySchemes": SECURITY_SCHEMES, "headers": HEADERS}
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
