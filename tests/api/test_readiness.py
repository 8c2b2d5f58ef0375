"""Readiness: the state of Temporal, the task queues, the steps and the vector store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.readiness import Readiness, Seen, SharedCheck
from api.routes.health import QUEUE_STALLED_S, STEP_STALLED_S
from persistence.queries.assessments import Queries
from persistence.tables import AsyncJobRow
from tests.api.conftest import Api, client_with
from tests.support.statements import recorded
from workflows.engine.backlogs import Backlog, worker_identity
from workflows.policies import Queue

WEAVIATE = "http://weaviate.example"


class Scripted(Readiness):
    """A readiness check with a fixed state."""

    def __init__(self, seen: Seen) -> None:
        self._found = seen

    async def look(self) -> Seen:
        return self._found


async def readiness(api: Api, seen: Seen, weaviate_url: str | None = None) -> httpx.Response:
    settings = api.services.settings.model_copy(update={"weaviate_url": weaviate_url})
    async with client_with(api, settings=settings, readiness=Scripted(seen)) as client:
        return await client.get("/readyz")


def backlog(queue: Queue, kind: str = "activity", tasks: int = 0, oldest_s: float = 0.0, *pollers: str) -> Backlog:
    return Backlog(queue=queue, kind=kind, tasks=tasks, oldest_s=oldest_s, pollers=frozenset(pollers))


async def test_it_names_weaviate_where_workers_search_that_first(api: Api) -> None:
    answer = (await readiness(api, Seen(weaviate=True), WEAVIATE)).json()

    assert (answer["vector_store"], answer["vector_store_state"]) == ("weaviate", "up")


async def test_it_tells_that_weaviate_is_away(api: Api) -> None:
    answer = (await readiness(api, Seen(), WEAVIATE)).json()

    assert (answer["vector_store"], answer["vector_store_state"]) == ("weaviate", "down")


@pytest.mark.parametrize("unset", [None, ""])
async def test_it_names_pgvector_otherwise(api: Api, unset: str | None) -> None:
    answer = (await readiness(api, Seen(), unset)).json()

    assert (answer["vector_store"], answer["vector_store_state"]) == ("pgvector", "up")


async def test_a_postgres_that_hangs_is_down(api: Api, engine: AsyncEngine) -> None:
    hung = asyncio.Event()

    class Hanging(Queries):
        async def ping(self) -> None:
            await hung.wait()

    async with client_with(api, queries=Hanging(engine), readiness=Scripted(Seen())) as client:
        answer = await client.get("/readyz")
    hung.set()

    assert (answer.status_code, answer.json()["postgres"]) == (503, "down")


async def test_without_temporal_it_is_ready_and_does_not_make_queues_up(api: Api) -> None:
    answer = await readiness(api, Seen())

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("status", "temporal", "queues", "essay_grader")} == {
        "status": "ready",
        "temporal": "down",
        "queues": None,
        "essay_grader": None,
    }


async def test_a_queue_without_workers_is_reported_with_its_backlog(api: Api) -> None:
    seen = Seen(
        temporal=True,
        backlogs=[
            backlog(Queue.ASSESSMENTS, "workflow", 40, 7.5),
            backlog(Queue.ASSESSMENTS, "activity", 2, 9.25),
            backlog(Queue.WEBHOOKS, "activity", 3, 0.5, "1@host"),
        ],
    )

    answer = await readiness(api, seen)

    assert answer.status_code == 200
    assert answer.json()["queues"] == {
        "assessments": {"served": False, "waiting": 42, "oldest_s": 9.25},
        "llm": {"served": False, "waiting": 0, "oldest_s": 0.0},
        "embeddings": {"served": False, "waiting": 0, "oldest_s": 0.0},
        "webhooks": {"served": True, "waiting": 3, "oldest_s": 0.5},
    }


@pytest.mark.parametrize(
    ("offers", "named"), [(("local",), "local"), (("gpt-5", "gpt-5"), "gpt-5"), (("gpt-6", "gpt-5"), "gpt-5, gpt-6")]
)
async def test_it_names_what_the_workers_of_the_model_grade_with(api: Api, offers: tuple[str, ...], named: str) -> None:
    workers = [f"{place}{worker_identity(each)}" for place, each in enumerate(offers)]

    answer = await readiness(api, Seen(temporal=True, backlogs=[backlog(Queue.LLM, "activity", 0, 0.0, *workers)]))

    assert answer.json()["essay_grader"] == named


@pytest.fixture
async def asked() -> AsyncIterator[tuple[httpx.AsyncClient, list[httpx.Request]]]:
    """A client of a Weaviate that is ready, and the requests that it received."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        yield client, requests


async def test_many_probes_look_once(asked: tuple[httpx.AsyncClient, list[httpx.Request]]) -> None:
    http, requests = asked
    readiness = Readiness(None, http, f"{WEAVIATE}/")

    assert [(await readiness.look()).weaviate for _ in range(5)] == [True] * 5
    assert [str(each.url) for each in requests] == [f"{WEAVIATE}/v1/.well-known/ready"]


async def test_many_probes_ask_the_database_once(api: Api, api_engine: AsyncEngine) -> None:
    with recorded(api_engine) as sent:
        async with client_with(api) as client:
            probes = await asyncio.gather(*(client.get("/readyz") for _ in range(50)))
            later = await client.get("/readyz")

    assert {each.status_code for each in (*probes, later)} == {200}
    assert len(sent) == 2


@pytest.mark.parametrize(("cache_s", "expected"), [(60, [0, 0]), (0, [0, 1])])
async def test_the_state_of_the_database_is_read_again_after_the_cache_time(
    cache_s: float, expected: list[int]
) -> None:
    reads = iter(range(9))

    async def read() -> int:
        return next(reads)

    check = SharedCheck[int](cache_s)

    assert [await check.look(read) for _ in range(2)] == expected


async def test_a_weaviate_that_cannot_be_reached_is_down() -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        assert not (await Readiness(None, http, "http://127.0.0.1:9").look()).weaviate


async def held(api: Api, *, since_s: float, lost: int = 0) -> None:
    """Submit an assessment whose essay step has waited for this long."""
    learner = await api.person()
    assessment = await api.start(learner)
    await api.submit(learner, assessment)
    values = {
        "status": "failed",
        "attempts": 1 + lost,
        "lost_attempts": lost,
        "queued_at": datetime.now(UTC) - timedelta(seconds=since_s),
    }
    essays = (AsyncJobRow.assessment_id == UUID(assessment["assessment_id"]), AsyncJobRow.job_type == "score_essay")
    async with api.sessions() as session:
        await session.execute(update(AsyncJobRow).where(*essays).values(**values))
        await session.commit()


async def test_a_step_that_is_never_done_is_shown_although_its_queue_is_empty(api: Api) -> None:
    await held(api, since_s=STEP_STALLED_S + 60, lost=2)

    answer = (await readiness(api, Seen(temporal=True, backlogs=[backlog(Queue.EMBEDDINGS, "activity")]))).json()

    assert (answer["status"], answer["stalled"]) == ("ready", ["score_essay"])
    assert answer["steps"]["score_essay"]["oldest_s"] > STEP_STALLED_S
    assert answer["steps"]["score_essay"]["lost_attempts"] >= 2


async def test_a_queue_whose_tasks_are_not_started_is_stalled(api: Api) -> None:
    backlogs = [backlog(Queue.LLM, "activity", 3, QUEUE_STALLED_S + 1), backlog(Queue.WEBHOOKS, "activity", 3, 1.0)]

    assert "llm" in (answer := (await readiness(api, Seen(backlogs=backlogs))).json()["stalled"])
    assert "webhooks" not in answer
