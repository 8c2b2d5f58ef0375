"""The strict reader: what stock parsers accept or crash on gets a clean 4xx."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from api.json_body import MAX_BYTES, parse_json
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


async def test_nobodys_body_is_not_read(api: Api) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{}"
        raise AssertionError("the body was read")

    answer = await api.client.post(
        "/api/v1/assessments/start", content=body(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 401


def _json(person: Person) -> dict[str, str]:
    return person.headers | {"Content-Type": "application/json"}
