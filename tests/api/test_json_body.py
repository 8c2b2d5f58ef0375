"""The strict JSON parser: input that common parsers accept or crash on gets a 4xx."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.middleware.routing import BODIES
from api.middleware.strict_json import MAX_BYTES, MAX_VALUES, check_values, parse_json
from domain.errors import InvalidInput
from tests.api.conftest import Api, Person

REFUSED = {
    "nothing": b"",
    "not JSON": b"{",
    "two documents": b"{} {}",
    "a comment": b"{} // done",
    "a trailing comma": b"[1,]",
    "half a surrogate pair": rb'{"a": "\ud800"}',
    "half a surrogate pair in a key": rb'{"\udfff": 1}',
    "NUL": rb'{"a": "\u0000"}',
    "NUL in a key": rb'{"\u0000": 1}',
    "a raw control character": b'{"a": "\x01"}',
    "a key twice": b'{"a": 1, "a": 1}',
    "a key twice, spelled differently": rb'{"a": 1, "\u0061": 1}',
    "a key twice further in": b'[{"b": {"a": 1, "a": 2}}]',
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "-Infinity": b"[-Infinity]",
    "1e400": b"[1e400]",
    "1e-400": b"[1e-400]",
    "an exponent of a thousand digits": b"[1e" + b"9" * 1000 + b"]",
    "an integer of 16 digits": b"[1234567890123456]",
    "an integer of 5,000 digits": b"[" + b"9" * 5000 + b"]",
    "a fraction of 5,000 digits": b"[0." + b"9" * 5000 + b"]",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a": 1}'.encode("utf-16-le"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a": "\xc0\x80"}',
    "depth 33": b"[" * 33 + b"]" * 33,
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 33 by objects": b'{"a":' * 33 + b"1" + b"}" * 33,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json(body)


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
async def test_refused_over_http_without_an_echo(api: Api, learner: Person, body: bytes) -> None:
    answer = await api.client.post("/api/v1/assessments/start", content=body, headers=_json(learner))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")
    assert len(answer.content) < 300


def test_decimals_stay_exact() -> None:
    assert parse_json(b"[0.1, 1E3, -2.50, 7]") == [Decimal("0.1"), Decimal(1000), Decimal("-2.50"), 7]
    assert isinstance(parse_json(b"[0.1]")[0], Decimal)


def test_accepted_at_the_limits() -> None:
    assert parse_json(b"[" * 32 + b"]" * 32)
    assert parse_json(b"[999999999999999, -999999999999999]") == [999999999999999, -999999999999999]
    assert parse_json(rb'["\ud83d\ude00", "\u00e9"]') == ["😀", "é"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/merge-patch+json"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": ""},
    ],
)
async def test_anything_but_plain_json_is_415(api: Api, learner: Person, headers: dict[str, str]) -> None:
    answer = await api.client.post("/api/v1/assessments/start", content=b"{}", headers=learner.headers | headers)
    assert (answer.status_code, answer.json()["error_code"]) == (415, "UNSUPPORTED_MEDIA_TYPE_415")


async def test_a_declared_length_over_the_limit_is_refused_before_reading(api: Api, learner: Person) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b" " * 1024

    headers = _json(learner) | {"Content-Length": str(MAX_BYTES + 1)}
    answer = await api.client.post("/api/v1/assessments/start", content=body(), headers=headers)
    assert answer.status_code == 413
    assert read == 0


async def test_an_undeclared_body_is_counted_while_it_arrives(api: Api, learner: Person) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 8 * MAX_BYTES:
            sent += 64 * 1024
            yield b" " * 64 * 1024

    answer = await api.client.post("/api/v1/assessments/start", content=body(), headers=_json(learner))
    assert answer.status_code == 413
    assert answer.json().keys() == {"error_code", "message"}
    assert sent <= MAX_BYTES + 128 * 1024


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-16"},
        {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"},
    ],
)
async def test_a_login_that_is_no_plain_form_is_415(api: Api, headers: dict[str, str]) -> None:
    answer = await api.client.post("/api/v1/auth/token", content=b"username=a&password=b", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (415, "UNSUPPORTED_MEDIA_TYPE_415")


async def test_a_login_form_is_counted_too(api: Api) -> None:
    answer = await api.client.post("/api/v1/auth/token", data={"username": "x" * MAX_BYTES, "password": "y"})
    assert answer.status_code == 413


async def test_the_body_of_an_unauthenticated_request_is_not_read(api: Api) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{}"
        raise AssertionError("the body was read")

    answer = await api.client.post(
        "/api/v1/assessments/start", content=body(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 401


MANY = {
    "numbers": b"[" + b"1," * 60 + b"1]",
    "empty lists": b"[" + b"[]," * 40 + b"[]]",
    "lists in each other": b"[" * 60,
    "fields": b"{" + b'"a":1,' * 60 + b'"a":1}',
    "texts without commas between them": b'"a"' * 200 + b",[{" * 20,
    "empty texts": b'"",' * 60,
    "values after a text with an escaped quote": b'["\\"",' + b"1," * 60 + b"1]",
    "values after a text with an escaped backslash": b'["\\\\",' + b"1," * 60 + b"1]",
}


@pytest.mark.parametrize("body", MANY.values(), ids=MANY.keys())
def test_too_many_values_are_refused_before_parsing(body: bytes) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_values(body, 50)
    assert raised.value.problems[0].problem == "has more than 50 values"


FEW = {
    "as many as allowed": b"[" + b"1," * 48 + b"1]",
    "commas and brackets in a text": b'["' + b",[{" * 100 + b'"]',
    "escaped quotes in a text": b'["' + rb"\",[{" * 100 + b'"]',
    "a text that does not end": b'["' + b",[{" * 100,
    "a text that ends in a backslash": b'["' + b",[{" * 100 + b"\\",
}


@pytest.mark.parametrize("body", FEW.values(), ids=FEW.keys())
def test_characters_inside_a_text_are_no_values(body: bytes) -> None:
    check_values(body, 50)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.sampled_from('a,[{]}"\\\n')),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=6),
        max_leaves=80,
    )
)
def test_every_document_within_the_limit_is_accepted(document: object) -> None:
    def values(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(map(values, inner))

    containers = json.dumps(document).count("[]") + json.dumps(document).count("{}")  # counted as if they had a value
    check_values(json.dumps(document).encode(), values(document) + containers + 1)


ID = "3f0c8a52-9d55-4b5e-8a53-6f0f5a4bb3a1"
VALUE_LIMITS = {
    "/assessments/start": BODIES["start_assessment"].max_values,
    f"/assessments/{ID}/responses": BODIES["submit_responses"].max_values,
    f"/recommendations/{ID}/feedback": MAX_VALUES,
}


@pytest.mark.parametrize(("path", "most"), VALUE_LIMITS.items())
async def test_each_route_limits_the_number_of_values(api: Api, learner: Person, path: str, most: int) -> None:
    body = b'{"many": [' + b"1," * most + b"1]}"

    refused = await api.client.post(f"/api/v1{path}", content=body, headers=_json(learner))

    assert refused.status_code == 400
    assert refused.json()["details"] == [{"field": "body", "problem": f"has more than {most:,} values"}]


async def test_all_unknown_fields_of_an_object_are_one_problem(api: Api, learner: Person) -> None:
    unknown = {f"k{number}": 1 for number in range(3_000)}
    body = {"responses": [{"question_id": ID, "answer": 1, **unknown}], "finished": False}

    refused = await api.client.post(f"/api/v1/assessments/{ID}/responses", json=body, headers=learner.headers)
    nested = await api.client.post(
        f"/api/v1/assessments/{ID}/responses", json={"responses": body["responses"]}, headers=learner.headers
    )

    assert refused.json()["details"] == [{"field": "body", "problem": "has an unknown field"}]
    assert nested.json()["details"] == [{"field": "responses.0", "problem": "has an unknown field", "question_id": ID}]


async def test_200_responses_with_twenty_choices_each_are_within_the_limit(api: Api, learner: Person) -> None:
    choices = list(map(str, range(20)))
    response = {"question_id": ID, "answer": {"choices": choices}, "submitted_at": "2026-01-01T10:00:00Z"}

    answer = await api.client.post(
        f"/api/v1/assessments/{ID}/responses", json={"responses": [response] * 200}, headers=learner.headers
    )

    assert answer.status_code == 404  # the body was accepted, but the assessment does not exist


def _json(person: Person) -> dict[str, str]:
    return person.headers | {"Content-Type": "application/json"}
