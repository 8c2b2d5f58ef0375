"""The unit of work of what admins do with webhooks."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from persistence.endpoints import Endpoints
from persistence.redeliveries import Redeliveries
from persistence.sealing import SecretBox
from persistence.unit_of_work import SqlUnitOfWork, sessions


class WebhookIntakeUnit(SqlUnitOfWork):
    """A unit of work with the writes about endpoints and deliveries."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], box: SecretBox) -> None:
        super().__init__(sessions)
        self.endpoints = Endpoints(self._session, box)
        self.redeliveries = Redeliveries(self._session)


WebhookIntakeFactory: TypeAlias = Callable[[], WebhookIntakeUnit]


def webhook_intake_factory(engine: AsyncEngine, box: SecretBox) -> WebhookIntakeFactory:
    return partial(WebhookIntakeUnit, sessions(engine), box)
