"""The unit of work of sessions, and of what admins do with organizations and people."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from persistence.repositories.api_keys import ApiKeys
from persistence.repositories.people import People
from persistence.repositories.refresh_tokens import RefreshTokens
from persistence.request_unit import RequestUnit
from persistence.unit_of_work import sessions


class PeopleUnit(RequestUnit):
    """A unit of work with the writes about people and their sessions."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        super().__init__(sessions)
        self.people = People(self._session)
        self.api_keys = ApiKeys(self._session)
        self.refresh_tokens = RefreshTokens(self._session)


PeopleIntakeFactory: TypeAlias = Callable[[], PeopleUnit]


def people_intake_factory(engine: AsyncEngine) -> PeopleIntakeFactory:
    return partial(PeopleUnit, sessions(engine))
