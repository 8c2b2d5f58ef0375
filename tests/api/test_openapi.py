"""The OpenAPI document: a superset of the founding document, up to date, and with the errors that routes return."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.export_openapi import PATH, main

FOUNDING = {
    ("post", "/assessments/start"): {"201", "400", "401"},
    ("post", "/assessments/{assessment_id}/responses"): {"202", "400", "404"},
    ("get", "/assessments/{assessment_id}"): {"200", "404"},
    ("get", "/assessments/{assessment_id}/result"): {"200", "202", "404"},
    ("post", "/recommendations/{recommendation_id}/feedback"): {"201", "400", "404"},
    ("get", "/catalog/credentials"): {"200", "401", "403"},
}

# Schema -> (required, all properties) in the founding document.
SCHEMAS: dict[str, tuple[set[str], set[str]]] = {
    "AssessmentStartRequest": ({"role_id"}, {"role_id", "metadata"}),
    "AssessmentStartResponse": (
        {"assessment_id", "status", "questions"},
        {"assessment_id", "status", "expires_at", "questions"},
    ),
    "QuestionSnapshot": (
        {"question_id", "type", "prompt", "rubric"},
        {"question_id", "type", "prompt", "choices", "rubric", "version"},
    ),
    "AssessmentResponseBatch": ({"responses"}, {"responses", "completed"}),
    "AssessmentResponseItem": ({"question_id", "answer"}, {"question_id", "answer", "submitted_at"}),
    "AssessmentSubmissionAck": (
        {"assessment_id", "status", "async_job_enqueued"},
        {"assessment_id", "status", "async_job_enqueued", "message"},
    ),
    "AssessmentStatus": (
        {"assessment_id", "status", "progress", "degraded"},
        {"assessment_id", "status", "progress", "degraded", "last_updated_at"},
    ),
    "AssessmentResult": (
        {"assessment_id", "summary", "recommendation_items", "traces", "metrics", "degraded"},
        {"assessment_id", "summary", "recommendation_items", "traces", "metrics", "degraded", "completed_at"},
    ),
    "RecommendationItem": (
        {"credential_id", "title", "confidence", "rationale"},
        {"credential_id", "title", "confidence", "rationale", "source_trace_ids"},
    ),
    "RagTrace": (
        {"trace_id", "source_uri", "snippet", "similarity"},
        {"trace_id", "source_uri", "snippet", "similarity", "embedding_provider"},
    ),
    "ProcessingMetrics": (
        {"total_latency_ms", "token_cost_cents"},
        {"total_latency_ms", "token_cost_cents", "gpt_latency_ms", "rag_latency_ms"},
    ),
    "RecommendationFeedbackRequest": (
        {"relevance_score"},
        {"relevance_score", "acceptance_status", "comments", "submitted_by_role"},
    ),
    "CredentialList": ({"items", "page", "page_size", "total"}, {"items", "page", "page_size", "total"}),
    "Credential": (
        {"credential_id", "title", "description", "skills"},
        {"credential_id", "title", "description", "skills", "provider", "embedding_vector_ref"},
    ),
    "ErrorResponse": ({"error_code", "message"}, {"error_code", "message"}),
}
REQUESTS = {name for name in SCHEMAS if name.endswith(("Request", "Batch", "ResponseItem"))}


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


@pytest.mark.parametrize(("method", "path"), FOUNDING)
def test_the_founding_operations_remain(document: dict[str, Any], method: str, path: str) -> None:
    assert FOUNDING[method, path] <= document["paths"][f"/api/v1{path}"][method]["responses"].keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_founding_schemas_remain(document: dict[str, Any], name: str) -> None:
    required, properties = SCHEMAS[name]
    schema = document["components"]["schemas"][name]
    assert properties <= schema["properties"].keys()
    # Requests get no new required fields; responses lose no required fields.
    if name in REQUESTS:
        assert set(schema["required"]) == required
        assert schema["additionalProperties"] is False
    else:
        assert required <= set(schema["required"])


def test_the_document_keeps_to_the_specification(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_example_is_one(document: dict[str, Any]) -> None:
    found = list(examples(document))
    assert found
    for schema, example in found:
        whole = schema | {"components": document["components"]}
        OAS31Validator(whole, format_checker=oas31_format_checker).validate(example)


def examples(node: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each example with its schema: examples inside a schema, and examples next to one."""
    if isinstance(node, dict):
        if isinstance(node.get("examples"), list):
            yield from ((node, example) for example in node["examples"])
        if "example" in node:
            yield node["schema"], node["example"]
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from examples(child)


def test_422_is_for_reused_keys_only(document: dict[str, Any]) -> None:
    operations = [each for operations in document["paths"].values() for each in operations.values()]
    refusing = {each["operationId"] for each in operations if "422" in each["responses"]}
    keyed = {
        each["operationId"]
        for each in operations
        if any(parameter["name"] == "Idempotency-Key" for parameter in each.get("parameters", []))
    }
    assert refusing == keyed
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()


def test_every_operation_under_the_prefix_documents_errors_and_security(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith("/api/v1") and not path.startswith("/api/v1/auth"):
                assert operation["security"] == [{"bearerAuth": []}, {"oauth2Password": []}], path
                assert {"401", "403", "500", "503"} <= operation["responses"].keys(), path
            assert operation["tags"], path
            assert operation["summary"], path


def test_swaggers_authorize_finds_the_login(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearerAuth"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    token_url = schemes["oauth2Password"]["flows"]["password"]["tokenUrl"]
    assert token_url in document["paths"]


def test_the_exported_document_is_what_the_code_says(document: dict[str, Any]) -> None:
    assert yaml.load(PATH.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) == document
    assert [main(["--check"]) for _ in range(2)] == [0, 0]  # the output is deterministic
