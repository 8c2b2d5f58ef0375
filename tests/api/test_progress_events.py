"""The event stream of an assessment: each transition once, also after a lost connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app import build
from api.middleware.concurrency_limit import MAX_STREAMS_OF_USER
from persistence.database import DatabaseSettings, create_engine
from persistence.queries.student_pages import StudentPageQueries
from tests.api.conftest import UNLIMITED, Api, Person


def events_of(stream: str) -> list[tuple[int, dict[str, Any]]]:
    """Return the events of a stream as (id, data)."""
    found = []
    for block in stream.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in lines:
            found.append((int(lines["id"]), json.loads(lines["data"])))
    return found


async def read(api: Api, person: Person, assessment_id: str, last: int | None = None) -> str:
    headers = person.headers if last is None else {**person.headers, "Last-Event-ID": str(last)}
    answer = await api.client.get(f"/api/v1/assessments/{assessment_id}/events", headers=headers)
    return answer.text if answer.status_code == 200 else str(answer.status_code)


async def test_a_finished_assessment_streams_all_events_and_ends(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)

    events = events_of(await read(api, learner, str(publication.assessment_id)))

    assert events[0][1]["event"] == "submitted"
    assert events[-1][1] == {"event": "released", "essays_scored": 0, "essays": 2, "final": True}
    assert [number for number, _ in events] == sorted({number for number, _ in events})


async def test_last_event_id_resumes_without_gap_or_repeat(api: Api, learner: Person) -> None:
    assessment_id = str((await api.completed(learner)).assessment_id)
    events = events_of(await read(api, learner, assessment_id))

    resumed = [events_of(await read(api, learner, assessment_id, number)) for number, _ in events[:-1]]

    assert resumed == [events[place:] for place in range(1, len(events))]


async def test_after_the_final_event_there_is_nothing_more(api: Api, learner: Person) -> None:
    assessment_id = str((await api.completed(learner)).assessment_id)
    final = events_of(await read(api, learner, assessment_id))[-1][0]

    assert await read(api, learner, assessment_id, final) == "204"


async def test_an_open_stream_is_told_of_a_transition(api: Api, app: FastAPI, learner: Person) -> None:
    started = await api.start(learner)

    async with open_stream(api, app, learner, started["assessment_id"]) as stream:
        await api.submit(learner, started)
        await api.publish(started["assessment_id"])
        app.state.services.pages.streams.changed(started["assessment_id"])

        received = await asyncio.wait_for(stream, 20)
    assert events_of(received)[-1][1]["event"] == "released"
    assert ": ping" in received


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"password": "another horse with a battery"}])
async def test_an_open_stream_ends_when_the_tokens_of_its_user_become_invalid(
    api: Api, app: FastAPI, change: dict[str, str]
) -> None:
    learner, admin = await api.person(), await api.person("admin")
    started = await api.start(learner)

    async with open_stream(api, app, learner, started["assessment_id"]) as stream:
        changed = await api.client.patch(f"/api/v1/users/{learner.id}", json=change, headers=admin.headers)

        received = await asyncio.wait_for(stream, 20)
    assert changed.status_code == 200
    assert events_of(received) == []
    assert await read(api, learner, started["assessment_id"]) == "401"


async def test_an_open_stream_ends_without_an_error_when_the_database_fails(
    api: Api, learner: Person, api_database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    started = await api.start(learner)
    engine = create_engine(DatabaseSettings.model_validate({"url": api_database, "statement_timeout_s": 0.2}))
    app = build(limits=UNLIMITED)
    app.state.services = replace(api.services, pages=replace(api.services.pages, student=StudentPageQueries(engine)))

    async with open_stream(api, app, learner, started["assessment_id"]) as stream, api.sessions() as session:
        await session.execute(text("LOCK TABLE async_jobs IN ACCESS EXCLUSIVE MODE"))
        received = await asyncio.wait_for(stream, 20)
    await engine.dispose()
    assert events_of(received) == []
    assert "request_failed" not in capfd.readouterr().out


async def test_one_user_cannot_take_all_streams(api: Api) -> None:
    learner, other = await api.person(), await api.person()
    started, others = await api.start(learner), await api.start(other)
    app = build(limits=UNLIMITED)
    app.state.services = api.services

    async with AsyncExitStack() as streams:
        opened = [
            await streams.enter_async_context(open_stream(api, app, learner, started["assessment_id"]))
            for _ in range(MAX_STREAMS_OF_USER)
        ]
        async with client_of(app) as client:
            path = f"/api/v1/assessments/{started['assessment_id']}/events"
            refused = await client.get(path, headers=learner.headers)
        await streams.enter_async_context(open_stream(api, app, other, others["assessment_id"]))
        await api.submit(learner, started)
        await api.publish(started["assessment_id"])
        await api.submit(other, others)
        await api.publish(others["assessment_id"])
        await asyncio.wait_for(asyncio.gather(*opened), 20)
    async with client_of(app) as client:
        again = await read(replace(api, client=client), learner, started["assessment_id"])

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert events_of(again)[-1][1]["final"]


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test")


@asynccontextmanager
async def open_stream(api: Api, app: FastAPI, person: Person, assessment_id: str) -> AsyncIterator[asyncio.Task[str]]:
    """Open a stream and wait until it is silent. The task returns its text when it ends."""
    pinged = asyncio.Event()

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if b": ping" in message.get("body", b""):
                pinged.set()
            await send(message)

        await app(scope, receive, watch)

    async with client_of(watched) as client:
        stream = asyncio.create_task(read(replace(api, client=client), person, assessment_id))
        await asyncio.wait_for(pinged.wait(), 20)
        yield stream
