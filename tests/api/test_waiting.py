"""`Prefer: wait`: a request gets the result as soon as it is published."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from starlette.types import Message, Scope

from api.app import build
from api.idempotency import HEADER as KEY
from api.idempotency import REPLAYED
from api.middleware.response_headers import HttpSettings
from api.preferences import APPLIED, LONGEST_WAIT_S, wait_of
from api.services.progress_streams import ProgressStreams
from domain.errors import StorageUnavailable
from persistence.notifications import Listener
from persistence.queries.assessments import Queries
from persistence.queries.student_pages import PROGRESS_CHANNEL
from persistence.queries.views import PublishedView
from tests.api.conftest import UNLIMITED, Api, Person, client_with, response_to
from tests.api.release_desk import Desk
from tests.support.databases import settings_of
from tests.support.deployment import libpq

SOON_S = 8
"""Less than the longest wait, and long enough for a busy machine."""
PATIENCE_S = 120


@asynccontextmanager
async def served(api: Api, streams: ProgressStreams, **limits: int) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of an app with these streams and limits."""
    app = build(limits=UNLIMITED, http=HttpSettings.model_validate(limits))
    app.state.services = replace(api.services, pages=replace(api.services.pages, streams=streams))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        yield client


def reading(client: httpx.AsyncClient, learner: Person, assessment_id: str, wait: int) -> asyncio.Task[httpx.Response]:
    path, headers = f"/api/v1/assessments/{assessment_id}/result", learner.headers | {"Prefer": f"wait={wait}"}
    return asyncio.create_task(client.get(path, headers=headers))


async def handed_in(api: Api, learner: Person) -> str:
    started = await api.start(learner)
    await api.submit(learner, started)
    return str(started["assessment_id"])


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (["wait=3"], 3),
        (["respond-async, wait=3"], 3),
        (["respond-async", "Wait = 3; foo=bar"], 3),
        (['wait="3"'], 3),
        (['foo="a, wait=9", wait=3'], 3),
        (["wait=3, wait=4"], 3),
        (["wait=60"], LONGEST_WAIT_S),
        (["wait=0"], 0),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["wait=\u0663"], 0),
        (["wait, wait=4"], 0),
        (["waiting=4"], 0),
        ([""], 0),
        ([], 0),
    ],
)
def test_the_first_preference_counts_and_an_invalid_one_is_ignored(sent: list[str], seconds: int) -> None:
    assert wait_of(sent) == seconds


async def test_a_waiting_read_gets_the_result_once_it_is_published(api: Api, learner: Person) -> None:
    assessment_id = await handed_in(api, learner)
    answer = reading(api.client, learner, assessment_id, LONGEST_WAIT_S)
    await asyncio.sleep(0.2)
    assert not answer.done()

    await api.publish(assessment_id)
    api.services.pages.streams.changed(assessment_id)

    found = await answer
    assert (found.status_code, found.headers[APPLIED]) == (200, f"wait={LONGEST_WAIT_S}")
    assert found.content == (await api.get(learner, f"/assessments/{assessment_id}/result")).content


async def test_a_lost_notification_delays_the_result_a_little(api: Api, learner: Person) -> None:
    assessment_id = await handed_in(api, learner)
    answer = reading(api.client, learner, assessment_id, LONGEST_WAIT_S)
    await asyncio.sleep(0.2)

    await api.publish(assessment_id)

    assert (await answer).status_code == 200


async def test_after_the_time_the_response_is_that_of_a_request_without_the_preference(
    api: Api, learner: Person
) -> None:
    assessment_id = await handed_in(api, learner)
    plain = await api.get(learner, f"/assessments/{assessment_id}/result")
    began = time.monotonic()

    waited = await reading(api.client, learner, assessment_id, 1)

    assert time.monotonic() - began >= 1
    assert (waited.status_code, waited.content) == (202, plain.content)
    assert (waited.headers["Retry-After"], waited.headers[APPLIED]) == ("1", "wait=1")
    assert APPLIED not in plain.headers


async def test_a_failure_is_not_waited_for(api: Api, learner: Person) -> None:
    assessment_id = await handed_in(api, learner)
    await api.set(assessment_id, status="failed", failure_reason="bug")
    waits: list[bool] = []
    async with served(api, ProgressStreams(on_first=lambda: waits.append(True))) as client:
        refused = await reading(client, learner, assessment_id, LONGEST_WAIT_S)

    assert (refused.status_code, refused.json()["error_code"]) == (409, "ASSESSMENT_FAILED")
    assert waits == []


async def test_a_result_that_waits_for_an_advisor_is_not_waited_for(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    assessment_id = str((await desk.completed()).assessment_id)

    waits: list[bool] = []
    async with served(api, ProgressStreams(on_first=lambda: waits.append(True))) as client:
        in_review = await reading(client, desk.student, assessment_id, LONGEST_WAIT_S)

    assert (in_review.status_code, in_review.json()["stage"]) == (202, "in_review")
    assert waits == []


async def status(api: Api, learner: Person, started: dict[str, Any]) -> dict[str, Any]:
    view: dict[str, Any] = (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()
    return view


async def hand_in(api: Api, learner: Person, started: dict[str, Any], **headers: str) -> httpx.Response:
    path = f"/api/v1/assessments/{started['assessment_id']}/responses"
    sent = learner.headers | {"Content-Type": "application/json"} | headers
    return await api.client.post(path, content=_all_answers(started), headers=sent)


def _all_answers(started: dict[str, Any]) -> bytes:
    responses = [response_to(question) for question in started["questions"]]
    return json.dumps({"responses": responses, "completed": True}).encode()


async def test_a_waiting_submission_gets_the_result(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    answer = asyncio.create_task(hand_in(api, learner, started, Prefer="wait=10"))
    async with asyncio.timeout(PATIENCE_S):
        while not (await status(api, learner, started)).get("stage"):  # noqa: ASYNC110  # another process would poll
            await asyncio.sleep(0.05)

    await api.publish(started["assessment_id"])
    api.services.pages.streams.changed(started["assessment_id"])

    found = await answer
    assert (found.status_code, found.headers[APPLIED]) == (200, "wait=10")
    assert found.content == (await api.get(learner, f"/assessments/{started['assessment_id']}/result")).content


async def test_a_submission_without_a_result_in_time_is_acknowledged(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    found = await hand_in(api, learner, started, Prefer="wait=1")
    assert (found.status_code, found.json()["status"], found.headers[APPLIED]) == (202, "awaiting_async", "wait=1")


async def test_a_submission_is_acknowledged_although_its_result_cannot_be_read(
    api: Api, api_engine: AsyncEngine, learner: Person
) -> None:
    class Broken(Queries):
        async def published(self, *_: object, **__: object) -> PublishedView | None:
            raise StorageUnavailable("Away")

    started = await api.start(learner)
    async with client_with(api, queries=Broken(api_engine)) as client:
        found = await hand_in(replace(api, client=client), learner, started, Prefer="wait=10")

    assert (found.status_code, found.json()["status"]) == (202, "awaiting_async")


async def test_a_submission_that_is_replayed_gets_the_result_too(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    first = await hand_in(api, learner, started, **{KEY: "once"})
    await api.publish(started["assessment_id"])

    again = await hand_in(api, learner, started, **{KEY: "once", "Prefer": "wait=1"})
    plain = await hand_in(api, learner, started, **{KEY: "once"})

    assert (first.status_code, again.status_code, plain.status_code) == (202, 200, 202)
    assert (again.headers[REPLAYED], plain.content) == ("true", first.content)


async def test_answers_that_are_only_stored_do_not_wait(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    body = {"responses": [response_to(started["questions"][0])]}
    path = f"/api/v1/assessments/{started['assessment_id']}/responses"

    waits: list[bool] = []
    async with served(api, ProgressStreams(on_first=lambda: waits.append(True))) as client:
        stored = await client.post(path, json=body, headers=learner.headers | {"Prefer": "wait=10"})

    assert (stored.status_code, waits) == (202, [])
    assert APPLIED not in stored.headers


async def test_a_waiting_request_holds_no_database_connection(
    api: Api, api_engine: AsyncEngine, learner: Person
) -> None:
    assessment_id = await handed_in(api, learner)
    answer = reading(api.client, learner, assessment_id, LONGEST_WAIT_S)
    await asyncio.sleep(0.2)

    async with asyncio.timeout(SOON_S):
        while _connections(api_engine):  # a read is in progress  # noqa: ASYNC110  # the pool does not notify
            await asyncio.sleep(0.01)

    assert not answer.done()
    answer.cancel()


def _connections(engine: AsyncEngine) -> int:
    """Return the number of connections in use."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def test_waiting_requests_count_as_streams_and_their_number_is_limited(api: Api, learner: Person) -> None:
    assessment_id = await handed_in(api, learner)
    waits = asyncio.Event()
    async with served(api, ProgressStreams(on_first=waits.set), api_max_requests=1, api_max_streams=1) as client:
        waiting = reading(client, learner, assessment_id, LONGEST_WAIT_S)
        await asyncio.wait_for(waits.wait(), SOON_S)

        other = await client.get("/api/v1/me", headers=learner.headers)
        excess = await reading(client, learner, assessment_id, LONGEST_WAIT_S)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])

        assert other.status_code == 200
        assert (excess.status_code, APPLIED in excess.headers) == (202, False)
        assert APPLIED in (await reading(client, learner, assessment_id, 1)).headers


async def test_the_wait_ends_when_the_process_stops(api: Api, learner: Person) -> None:
    assessment_id = await handed_in(api, learner)
    streams = ProgressStreams()
    async with served(api, streams) as client:
        answer = reading(client, learner, assessment_id, LONGEST_WAIT_S)
        await asyncio.sleep(0.2)

        streams.stop()

        assert (await asyncio.wait_for(answer, SOON_S)).status_code == 202


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_that_disconnects_frees_its_place(api: Api, app: FastAPI, learner: Person, method: str) -> None:
    started = await api.start(learner)
    path, body = f"/api/v1/assessments/{started['assessment_id']}/responses", _all_answers(started)
    if method == "GET":
        await api.submit(learner, started)
        path, body = f"/api/v1/assessments/{started['assessment_id']}/result", b""
    messages: asyncio.Queue[Message] = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
    headers = learner.headers | {"Prefer": "wait=10", "Content-Type": "application/json", "Host": "api.test"}

    answer = asyncio.create_task(app(_scope(method, path, headers), messages.get, _ignore))
    await asyncio.sleep(0.5)
    assert not answer.done()
    messages.put_nowait({"type": "http.disconnect"})

    await asyncio.wait_for(answer, SOON_S)


def _scope(method: str, path: str, headers: dict[str, str]) -> Scope:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": raw,
        "server": ("api.test", 80),
        "client": ("127.0.0.1", 1),
    }


async def _ignore(message: Message) -> None:
    del message


async def test_one_connection_listens_for_all(api: Api, api_database: str, learner: Person) -> None:
    streams = ProgressStreams(on_first=lambda: listener.start())  # noqa: PLW0108  # the listener needs the streams
    listener = Listener(settings_of(api_database), PROGRESS_CHANNEL, streams.changed)
    people = (learner, await api.person())
    ids = [await handed_in(api, person) for person in people]
    async with served(api, streams) as client:
        waits = [reading(client, person, id_, LONGEST_WAIT_S) for person, id_ in zip(people, ids, strict=True)]
        path = f"/api/v1/assessments/{ids[0]}/events"
        stream = asyncio.create_task(client.get(path, headers=learner.headers))
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(_listening, api_database):  # noqa: ASYNC110  # PostgreSQL does not tell
                await asyncio.sleep(0.05)

        for assessment_id in ids:
            await api.publish(assessment_id)

        assert await asyncio.to_thread(_listening, api_database) == 1
        assert [each.status_code for each in await asyncio.gather(*waits)] == [200, 200]
        assert (await stream).status_code == 200
    await listener.stop()


def _listening(url: str) -> int:
    with psycopg.connect(libpq(url)) as connection:
        query = "SELECT FROM pg_stat_activity WHERE application_name = 'microcred-notifications' AND datname = %s"
        return len(connection.execute(query, [connection.info.dbname]).fetchall())
