"""What routes work with, put together by the composition root and read from the app's state."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Protocol, cast
from uuid import UUID

from fastapi import Depends, Request

from api.access import sees
from api.passwords import Passwords
from api.principals import Principals
from api.settings import ApiSettings
from api.tokens import Principal, Tokens
from domain.ports import AssessmentRuns
from persistence.intake import IntakeFactory
from persistence.queries import Queries
from persistence.views import Viewer


class LiveProgress(Protocol):
    """Where a run is, as its `progress` query tells."""

    @property
    def stage(self) -> str: ...


class Runs(AssessmentRuns, Protocol):
    """The engine as the API needs it: it also tells the live stage, or None where it does not within 300 ms."""

    async def progress(self, assessment_id: UUID) -> LiveProgress | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    settings: ApiSettings
    tokens: Tokens
    passwords: Passwords
    principals: Principals
    queries: Queries
    intake: IntakeFactory
    runs: Runs
    engine_is_up: Callable[[], Awaitable[bool]]


async def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _principal(request: Request) -> Principal:
    return cast(Principal, request.state.principal)


async def _viewer(request: Request) -> Viewer:
    return sees(request.state.principal)


Use = Annotated[Services, Depends(_services)]
Caller = Annotated[Principal, Depends(_principal)]
Seen = Annotated[Viewer, Depends(_viewer)]
"""What the caller sees: every query about assessments takes one."""
