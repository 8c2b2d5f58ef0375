"""The format of errors, and the correlation id in responses and logs."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message

from api.app import build
from api.middleware.correlation import Correlation
from api.settings import ApiSettings
from persistence.database import create_engine
from tests.api.conftest import SECRET, Api, Person, services_on
from tests.support.databases import settings_of


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/nowhere", (404, "NOT_FOUND_404")),
        ("GET", "/api/v1/nowhere", (404, "NOT_FOUND_404")),
        ("GET", "/api/v1/roles/", (404, "NOT_FOUND_404")),
        ("DELETE", "/api/v1/me", (405, "METHOD_NOT_ALLOWED_405")),
        ("GET", "/api/v1/assessments/start", (405, "METHOD_NOT_ALLOWED_405")),
        ("GET", "/api/v1/assessments/begun", (400, "VALIDATION_400")),
    ],
)
async def test_what_the_framework_refuses_has_the_same_shape(
    api: Api, learner: Person, method: str, path: str, error: tuple[int, str]
) -> None:
    answer = await api.client.request(method, path, headers=learner.headers)
    assert (answer.status_code, answer.json()["error_code"]) == error
    assert answer.json().keys() <= {"error_code", "message", "details"}


@pytest.mark.parametrize(
    "spelled",
    [
        "{{{id}}}",
        "urn:uuid:{id}",
        "{ID}",
        "{hex}",
        " {id}",
        "{id}%0a",
        "1",
        "%00",
    ],
)
async def test_an_id_that_is_not_canonical_is_refused(api: Api, learner: Person, spelled: str) -> None:
    wanted = uuid4()
    path = spelled.format(id=wanted, ID=str(wanted).upper(), hex=wanted.hex)
    answer = await api.get(learner, f"/assessments/{path}")
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "assessment_id")


async def test_input_is_never_echoed(api: Api, learner: Person) -> None:
    marker = "marker-7f3a"
    bodies = [
        {"role_id": marker},
        {"role_id": str(uuid4()), marker: 1},
        {"role_id": str(uuid4()), "metadata": marker},
        {"role_id": {marker: marker}},
        [marker],
        marker,
    ]
    answers = [
        await api.client.post("/api/v1/assessments/start", json=body, headers=learner.headers) for body in bodies
    ]
    assert [answer.status_code for answer in answers] == [400] * len(bodies)
    assert not any(marker in answer.text for answer in answers)


async def test_a_large_input_gets_a_small_answer(api: Api, learner: Person) -> None:
    body = {"role_id": "x" * 500_000} | {f"field-{number}": 1 for number in range(1000)}
    answer = await api.client.post("/api/v1/assessments/start", json=body, headers=learner.headers)
    assert answer.status_code == 400
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("offered", ["abc", "x" * 65, "with space", "semi;colon", "<script>", "äöüäöüäö"])
async def test_a_request_id_of_another_shape_is_replaced(api: Api, offered: str) -> None:
    answer = await api.client.get("/healthz", headers=[(b"X-Request-Id", offered.encode())])
    assert UUID(answer.headers["X-Request-Id"]).version == 4


async def test_a_request_id_of_the_right_shape_is_kept(api: Api) -> None:
    answer = await api.client.get("/healthz", headers={"X-Request-Id": "abcDEF-12345"})
    assert answer.headers["X-Request-Id"] == "abcDEF-12345"


async def test_a_bug_is_a_500_whose_id_finds_the_log_line(api: Api) -> None:
    secret = "an answer that a driver prints"

    async def broken(*_: object) -> None:
        raise RuntimeError(secret)

    app = build()
    app.state.services = api.services
    app.mount("/broken", broken)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
            answer = await client.get("/broken/route")
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_500")
    correlation_id = answer.headers["X-Request-Id"]
    assert correlation_id in answer.json()["message"]
    assert [(line["event"], line["correlation_id"]) for line in lines] == [("request_failed", correlation_id)]
    assert secret not in answer.text + str(lines)


async def test_who_debugs_gets_the_bug_itself_after_the_500() -> None:
    sent: list[Message] = []

    async def broken(*_: object) -> None:
        raise RuntimeError("what a driver prints")

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "path": "/", "headers": []}
    with structlog.testing.capture_logs() as lines, pytest.raises(RuntimeError, match="what a driver prints"):
        await Correlation(broken, debug=True)(scope, receive, send)
    assert sent[0]["status"] == 500
    assert "what a driver prints" in str(lines[0]["trace"])


@pytest.mark.parametrize(
    ("named", "bound"),
    [("44283ee9-0f34-4c0e-8f7a-0d8f2f6f6f6f", "44283ee9-0f34-4c0e-8f7a-0d8f2f6f6f6f"), ("what-somebody-typed", None)],
)
async def test_a_line_names_the_assessment_of_its_request(api: Api, named: str, bound: str | None) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError

    app = build()
    app.state.services = api.services
    app.mount("/broken", broken)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
            await client.get(f"/broken/assessments/{named}/result")

    assert [line.get("assessment_id") for line in lines] == [bound]


@pytest.fixture
async def without_database() -> AsyncIterator[httpx.AsyncClient]:
    engine: AsyncEngine = create_engine(settings_of("postgresql://nobody:x@127.0.0.1:9/none"))
    services = services_on(engine, ApiSettings(jwt_secret=SecretStr(SECRET)))
    app: FastAPI = build()
    app.state.services = services
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        yield client
    services.passwords.close()
    await engine.dispose()


async def test_without_the_database_requests_are_503_and_may_be_repeated(
    without_database: httpx.AsyncClient, learner: Person
) -> None:
    answer = await without_database.get("/api/v1/roles", headers=learner.headers)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "STORAGE_503")
    assert answer.headers["Retry-After"] == "2"


async def test_only_postgres_decides_readiness(api: Api, without_database: httpx.AsyncClient) -> None:
    ready = await api.client.get("/readyz")
    unavailable = await without_database.get("/readyz")
    alive = await without_database.get("/healthz")
    assert (ready.status_code, ready.json()["postgres"], ready.json()["temporal"]) == (200, "up", "down")
    assert (unavailable.status_code, unavailable.json()["status"]) == (503, "unavailable")
    assert alive.status_code == 200
