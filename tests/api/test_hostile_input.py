"""Hostile input that FastAPI accepts, repeats in errors or crashes on by default. The API answers it with a 4xx.

Tests of bodies are in `test_json_body.py`, of tokens in `test_auth.py`, of connections in `test_connections.py`.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from tests.api.conftest import Api, Person
from tests.support.builders import ROLE_ID

ID = "3f0c8a52-9d55-4b5e-8a53-6f0f5a4bb3a1"
START = "/assessments/start"
RESPONSES = f"/assessments/{ID}/responses"
FEEDBACK = f"/recommendations/{ID}/feedback"
MARKER = "marker-7f3a"


@dataclass(frozen=True)
class Hostile:
    """A hostile request. `field` is the field that the error names."""

    field: str
    method: str = "GET"
    path: str = START
    body: str | None = None


def start(**fields: Any) -> str:
    return json.dumps({"role_id": str(ROLE_ID)} | fields)


def answered(field: str, value: str) -> Hostile:
    body = f'{{"responses": [{{"question_id": "{ID}", "answer": "a", {field!r}: {value}}}]}}'.replace("'", '"')
    return Hostile(f"responses.0.{field}", "POST", RESPONSES, body)


def scored(value: str) -> Hostile:
    return Hostile("relevance_score", "POST", FEEDBACK, f'{{"relevance_score": {value}}}')


def called(value: str, name: str = "role_id") -> Hostile:
    return Hostile(name, "POST", START, json.dumps({name: value}))


def listed(query: str, field: str, path: str = "/assessments") -> Hostile:
    return Hostile(field, path=f"{path}?{query}")


REFUSED = {
    "a boolean as a number": scored("true"),
    "a text as a number": scored('"4"'),
    "a fraction as a whole number": scored("4.0"),
    "an exponent as a whole number": scored("4e0"),
    "null as a number": scored("null"),
    "a number out of range": scored("6"),
    "a negative number": scored("-1"),
    "an integer of 5,000 digits": Hostile("body", "POST", FEEDBACK, '{"relevance_score": ' + "4" * 5000 + "}"),
    "infinity in an open object": Hostile("body", "POST", START, start(metadata={"a": float("inf")})),
    "NaN in an open object": Hostile("body", "POST", START, start(metadata={"a": float("nan")})),
    "1e400 in an open object": Hostile("body", "POST", START, start(metadata={"a": 1}).replace(": 1}", ": 1e400}")),
    "NUL in an open object": Hostile("body", "POST", START, start(metadata={"a": "\0"})),
    "half a surrogate in an open object": Hostile("body", "POST", START, start(metadata={"a": "\ud800"})),
    "an integer as a time": answered("submitted_at", "1700000000"),
    "a text of digits as a time": answered("submitted_at", '"1700000000"'),
    "a time without an offset": answered("submitted_at", '"2026-11-22T10:00:00"'),
    "a date as a time": answered("submitted_at", '"2026-11-22"'),
    "a day that does not exist": answered("submitted_at", '"2026-02-30T10:00:00Z"'),
    "a field that is not known": Hostile("body", "POST", START, start(extra=MARKER)),
    "a list as the body": Hostile("body", "POST", START, f'["{MARKER}"]'),
    "an id in braces": called(f"{{{ID}}}"),
    "an id as a URN": called(f"urn:uuid:{ID}"),
    "an id in capitals": called(ID.upper()),
    "an id without hyphens": called(UUID(ID).hex),
    "an id with a space": called(f" {ID}"),
    "an id in the path in capitals": Hostile("assessment_id", path=f"/assessments/{ID.upper()}"),
    "an id in the path with NUL": Hostile("assessment_id", path=f"/assessments/{ID}%00"),
    "an id in the path with a line end": Hostile("assessment_id", path=f"/assessments/{ID}%0a"),
    "NUL as an id in the path": Hostile("assessment_id", path="/assessments/%00"),
    "bytes that are no UTF-8 in the path": Hostile("assessment_id", path="/assessments/%ff%fe"),
    "a page of 0": listed("page=0", "page", "/catalog/credentials"),
    "a page size below the range": listed("page_size=9", "page_size", "/catalog/credentials"),
    "a page size above the range": listed("page_size=101", "page_size", "/catalog/credentials"),
    "a page of 5,000 digits": listed("page=" + "1" * 5000, "page", "/catalog/credentials"),
    "a limit of 0": listed("limit=0", "limit"),
    "a limit above the range": listed("limit=101", "limit"),
    "a limit with a sign": listed("limit=%2B5", "limit"),
    "a limit with a fraction": listed("limit=5.0", "limit"),
    "a limit in other digits": listed("limit=%D9%A5", "limit"),
    "a boolean by another name": listed("degraded=1", "degraded"),
    "a naive time in the query": listed("since=2026-11-22T10:00:00", "since"),
    "a cursor of nobody": listed("cursor=AAAA", "cursor"),
    "an id in the query in capitals": listed(f"role_id={ID.upper()}", "role_id"),
    "a query field that is not known": listed(f"{MARKER}=1", "query"),
    "a query field twice": listed("limit=5&limit=6", "query"),
    "a query where none is taken": listed(f"{MARKER}=1", "query", "/me"),
    "a query on a write": Hostile("query", "POST", f"{START}?role_id={ID}", start()),
    "NUL in the query": listed("cursor=%00", "query"),
    "bytes that are no UTF-8 in the query": listed("cursor=%ED%A0%80", "query"),
    "a mebibyte of values": Hostile("body", "POST", START, "[" + "[]," * 60_000 + "[]]"),
}


@pytest.mark.parametrize("hostile", REFUSED.values(), ids=REFUSED.keys())
async def test_refused_as_invalid_without_an_echo(api: Api, learner: Person, hostile: Hostile) -> None:
    headers = learner.headers | ({"Content-Type": "application/json"} if hostile.body else {})
    answer = await api.client.request(hostile.method, f"/api/v1{hostile.path}", content=hostile.body, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")
    assert [problem["field"] for problem in answer.json()["details"]] == [hostile.field]
    assert MARKER not in answer.text
    assert len(answer.content) < 500


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_no_header_changes_the_method(api: Api, learner: Person, header: str) -> None:
    answer = await api.client.get("/api/v1/me", headers=learner.headers | {header: "DELETE"})
    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Host"])
async def test_no_header_changes_the_address(api: Api, learner: Person, header: str) -> None:
    answer = await api.client.get("/api/v1/me", headers=learner.headers | {header: "/nowhere"})
    assert answer.status_code == 200
