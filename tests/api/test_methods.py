"""Methods that a path does not support."""

import asyncio

import pytest

from tests.api.conftest import Api, Person
from tests.api.test_connections import GET, PATIENCE_S, Connection, Wire, wire  # noqa: F401  # a fixture

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ENDPOINT = f"/api/v1/webhooks/endpoints/{UNKNOWN}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", ENDPOINT, "DELETE, GET, HEAD, PATCH"),
        ("GET", "/api/v1/assessments/start", "POST"),
        ("HEAD", "/api/v1/assessments/start", "POST"),
        ("HEAD", f"/api/v1/assessments/{UNKNOWN}/events", "GET"),
        ("HEAD", f"/learn/assessments/{UNKNOWN}/events", "GET"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
        ("PROPFIND", "/healthz", "GET, HEAD"),
        ("PROPFIND", ENDPOINT, "DELETE, GET, HEAD, PATCH"),
    ],
)
async def test_all_that_an_address_takes_is_named(api: Api, method: str, path: str, allowed: str) -> None:
    answer = await api.client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_an_address_with_parameters_still_takes_the_rest(api: Api, learner: Person) -> None:
    started = await api.start(learner)

    answer = await api.client.get(f"/api/v1/assessments/{started['assessment_id']}", headers=learner.headers)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/healthz", None, 200),
        ("/metrics", None, 200),
        ("/openapi.json", None, 200),
        ("/readyz", None, 200),
        ("/sign-in", None, 200),
        ("/people", None, 404),
        ("/learn", None, 303),
        ("/api/v1/me", "student", 200),
        ("/api/v1/me", None, 401),
        ("/api/v1/me/", "student", 404),
        (ENDPOINT, "admin", 404),
        ("/api/v1/audit-logs", "student", 403),
        ("/api/v1/users?limit=0", "admin", 400),
    ],
)
async def test_head_answers_as_get_without_the_body(
    api: Api,
    wire: Wire,  # noqa: F811  # the fixture
    path: str,
    role: str | None,
    status: int,
) -> None:
    headers = (await api.person(role)).headers if role else {}
    connection = await wire.open()

    head, get = [await _head(connection, method, path, headers) for method in ("HEAD", "GET")]

    assert head == get
    assert head[0] == status


async def _head(connection: Connection, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Send a request, then another one, whose response must follow. Return status and headers that do not vary."""
    lines = [f"{method} {path} HTTP/1.1", "Host: api.test", *(f"{name}: {value}" for name, value in headers.items())]
    connection.send("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(PATIENCE_S):
        first, *rest = (await connection.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        if method == "GET":
            await connection.reader.readexactly(int(fields["content-length"]))
    connection.send(GET)
    assert (await connection.answer())[0] == 200
    varying = {"date", "x-request-id", "ratelimit"} | ({"content-length"} if path == "/metrics" else set())
    return int(first.split()[1]), {name: value for name, value in fields.items() if name not in varying}
