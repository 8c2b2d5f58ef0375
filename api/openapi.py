"""The OpenAPI document: FastAPI's, without the answers that this API never gives."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

TITLE: Final = "AI Micro-Credential Assessment API"
VERSION: Final = "0.1.0"
DESCRIPTION: Final = """\
REST API powering asynchronous assessments, scoring, and recommendations.

Errors are `{"error_code", "message"}`, with `details` for fields. Invalid input is 400, a wrong state 409; what is not
the caller's answers 404 exactly as if it did not exist. Every answer carries `X-Request-Id`.
"""
TAGS: Final = [
    {"name": "Authentication", "description": "Access tokens by the OAuth2 password form"},
    {"name": "Roles", "description": "Role tracks and their skill targets"},
    {"name": "Assessments", "description": "Start, answer, follow"},
    {"name": "Recommendations", "description": "Results and what people make of them"},
    {"name": "Catalog", "description": "Micro-credentials"},
    {"name": "Webhooks", "description": "Partners' endpoints and the log of deliveries; see docs/webhooks.md"},
    {"name": "Health", "description": "Liveness and readiness"},
]
_NEVER_GIVEN: Final = "422"
_ITS_SCHEMAS: Final = ("HTTPValidationError", "ValidationError")


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
            operation["responses"].pop(_NEVER_GIVEN, None)
    for schema in _ITS_SCHEMAS:
        document["components"]["schemas"].pop(schema, None)
    return document
