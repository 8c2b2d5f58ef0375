"""The real app over ASGI with its own database, a recording engine and users of two organizations."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from api.app import assemble, build
from api.dependencies import EngineRuns, Services
from api.readiness import Readiness
from api.security.issuer_keys import Keys
from api.security.rate_limits import RateLimitSettings
from api.security.tokens import Principal, UserRole
from api.services.progress_streams import ProgressStreams
from api.settings import ApiSettings
from domain.assessments.results import Publication
from domain.webhooks.deliveries import check_url
from persistence.database import create_engine
from persistence.encryption import DEVELOPMENT_KEY, SecretCipher
from persistence.request_database import RequestUnitOfWork
from persistence.tables import AssessmentRow, UserRow, WebhookEventRow
from persistence.unit_of_work import sessions
from tests.support import answers
from tests.support.builders import ROLE_ID, a_result, a_user, an_organization, some_credentials
from tests.support.databases import Databases, settings_of
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
    RecordingRuns,
    ScriptedSearches,
)

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
UNLIMITED = RateLimitSettings(writes="100000/minute", reads="100000/minute", login="100000/minute")
CIPHER = SecretCipher([DEVELOPMENT_KEY])


@dataclass(frozen=True)
class Person:
    id: UUID
    principal: Principal
    headers: dict[str, str]


@dataclass
class Api:
    """The app's client and helpers that arrange data in its database."""

    client: httpx.AsyncClient
    services: Services
    sessions: async_sessionmaker[AsyncSession]
    organization_id: UUID
    other_organization_id: UUID
    credentials: list[UUID]

    async def person(
        self, role: str = "student", *, elsewhere: bool = False, of: UUID | None = None, **columns: Any
    ) -> Person:
        """Create a user. `platform_admin` has no organization. `elsewhere` selects the second one, `of` any."""
        organization: UUID | None = of or (self.other_organization_id if elsewhere else self.organization_id)
        async with self.sessions() as session:
            user_id = await a_user(session, organization, role=role.removeprefix("platform_"), **columns)
            if role == "platform_admin":
                organization, role = None, "admin"
                await session.execute(update(UserRow).where(UserRow.id == user_id).values(organization_id=None))
            await session.commit()
        principal = Principal(user_id=user_id, role=UserRole(role), organization_id=organization, version=0)
        token = self.services.tokens.issue(principal)
        return Person(user_id, principal, {"Authorization": f"Bearer {token}"})

    async def start(self, learner: Person, role_id: UUID = ROLE_ID) -> dict[str, Any]:
        answer = await self.client.post(
            "/api/v1/assessments/start", json={"role_id": str(role_id)}, headers=learner.headers
        )
        assert answer.status_code == 201, answer.text
        started: dict[str, Any] = answer.json()
        return started

    async def send(self, learner: Person, assessment_id: str, *responses: Any, **rest: Any) -> httpx.Response:
        return await self.client.post(
            f"/api/v1/assessments/{assessment_id}/responses",
            json={"responses": list(responses), **rest},
            headers=learner.headers,
        )

    async def submit(self, learner: Person, started: dict[str, Any]) -> dict[str, Any]:
        responses = [response_to(question) for question in started["questions"]]
        answer = await self.send(learner, started["assessment_id"], *responses, completed=True)
        assert answer.status_code == 202, answer.text
        acknowledged: dict[str, Any] = answer.json()
        return acknowledged

    async def get(self, person: Person, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(f"/api/v1{path}", params=query, headers=person.headers)

    async def publish(self, assessment_id: str, **essay: Any) -> Publication:
        """Publish a result as the worker does."""
        async with self.uow() as uow:
            assessment, now = await uow.assessments.lock(UUID(assessment_id))
            items = await uow.assessments.items(assessment.id)
            publication = await uow.results.publish(assessment, now, a_result(items, self.credentials, **essay))
            await uow.commit()
        return publication

    async def completed(self, learner: Person, **essay: Any) -> Publication:
        started = await self.start(learner)
        await self.submit(learner, started)
        return await self.publish(started["assessment_id"], **essay)

    async def set(self, assessment_id: str, **columns: Any) -> None:
        async with self.sessions() as session:
            await session.execute(update(AssessmentRow).where(AssessmentRow.id == assessment_id).values(**columns))
            await session.commit()

    async def events(self, assessment_id: str) -> list[str]:
        """Return the types of the assessment's webhook events."""
        async with self.sessions() as session:
            found = select(WebhookEventRow.event_type).where(WebhookEventRow.assessment_id == UUID(assessment_id))
            return list(await session.scalars(found))

    def uow(self) -> RequestUnitOfWork:
        return self.services.database.transaction()


@asynccontextmanager
async def client_with(api: Api, **parts: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of another app on the same database, with some services replaced."""
    app = build(limits=UNLIMITED)
    app.state.services = replace(api.services, **parts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        yield client


def response_to(question: dict[str, Any]) -> dict[str, Any]:
    return answers.response_to(question, "The query groups by customer and filters the groups with HAVING.", chosen=1)


def question_of(started: dict[str, Any], kind: str) -> dict[str, Any]:
    questions: list[dict[str, Any]] = started["questions"]
    return next(question for question in questions if question["answer_format"]["kind"] == kind)


def essay_of(started: dict[str, Any], place: int) -> str:
    """Return the question id of an essay, counted from 0."""
    essays = [each for each in started["questions"] if each["answer_format"]["kind"] == "text"]
    return str(essays[place]["question_id"])


def levels_of(question: dict[str, Any], place: int = 0) -> dict[str, str]:
    """Return a level for each criterion of an essay; by default the lowest."""
    return {criterion["key"]: criterion["levels"][place]["name"] for criterion in question["rubric"]["criteria"]}


@pytest.fixture(scope="session")
def api_database(databases: Databases, worker_name: str) -> Iterator[str]:
    """A database of its own, because requests commit."""
    with databases.new(f"{worker_name}_api") as url:
        yield url


@pytest.fixture(scope="session")
async def api_engine(api_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(api_database))
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def all_runs() -> RecordingRuns:
    return RecordingRuns()


@pytest.fixture(scope="session")
def all_deliveries() -> RecordingDeliveries:
    return RecordingDeliveries()


@pytest.fixture(scope="session")
def all_appeals() -> RecordingAppeals:
    return RecordingAppeals()


@pytest.fixture(scope="session")
def all_erasures() -> RecordingErasures:
    return RecordingErasures()


async def no_issuer(url: str) -> Keys:
    raise AssertionError(f"unexpected request for keys at {url}")


def services_on(
    engine: AsyncEngine,
    settings: ApiSettings,
    *,
    runs: RecordingRuns | None = None,
    deliveries: RecordingDeliveries | None = None,
    appeals: RecordingAppeals | None = None,
    erasures: RecordingErasures | None = None,
) -> Services:
    """As in production, but with a recording engine: no loopback in webhooks, and not this service."""
    return assemble(
        settings,
        engine,
        CIPHER,
        EngineRuns(
            assessments=runs or RecordingRuns(),
            appeals=appeals or RecordingAppeals(),
            deliveries=deliveries or RecordingDeliveries(),
            link_mails=RecordingLinkMails(),
            catalog=RecordingCatalogRuns(),
            searches=ScriptedSearches(),
            erasures=erasures or RecordingErasures(),
            rescores=RecordingRescores(),
        ),
        check_url=partial(check_url, loopback=False, own_hosts={"api.example.org"}),
        streams=ProgressStreams(ping_s=0.2),
        fetch=no_issuer,
        readiness=Readiness(None, httpx.AsyncClient(), None),
    )


@pytest.fixture(scope="session")
def app(
    api_engine: AsyncEngine,
    all_runs: RecordingRuns,
    all_deliveries: RecordingDeliveries,
    all_appeals: RecordingAppeals,
    all_erasures: RecordingErasures,
) -> Iterator[FastAPI]:
    app = build(limits=UNLIMITED)
    settings = ApiSettings(jwt_secret=SecretStr(SECRET))
    services = services_on(
        api_engine, settings, runs=all_runs, deliveries=all_deliveries, appeals=all_appeals, erasures=all_erasures
    )
    app.state.services = services
    yield app
    services.passwords.close()


@pytest.fixture(scope="session")
async def api(app: FastAPI, api_engine: AsyncEngine) -> AsyncIterator[Api]:
    made = sessions(api_engine)
    async with made() as session:
        here, elsewhere = await an_organization(session), await an_organization(session)
        credentials = await some_credentials(session)
        await session.commit()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        yield Api(client, app.state.services, made, here, elsewhere, credentials)


@pytest.fixture
def runs(all_runs: RecordingRuns) -> Iterator[RecordingRuns]:
    """The recorded calls to the engine of assessments, empty and available at the start of the test."""
    all_runs.__init__()  # type: ignore[misc]  # the app holds this very object
    yield all_runs
    all_runs.__init__()  # type: ignore[misc]


@pytest.fixture
def delivery_runs(all_deliveries: RecordingDeliveries) -> Iterator[RecordingDeliveries]:
    """The recorded calls to the engine of deliveries, as `runs` for assessments."""
    all_deliveries.__init__()  # type: ignore[misc]  # the app holds this very object
    yield all_deliveries
    all_deliveries.__init__()  # type: ignore[misc]


@pytest.fixture
def appeal_runs(all_appeals: RecordingAppeals) -> Iterator[RecordingAppeals]:
    """The recorded calls to the engine of appeals, as `runs` for assessments."""
    all_appeals.__init__()  # type: ignore[misc]  # the app holds this very object
    yield all_appeals
    all_appeals.__init__()  # type: ignore[misc]


@pytest.fixture
async def learner(api: Api) -> Person:
    return await api.person()
