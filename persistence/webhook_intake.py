"""The unit of work of what admins do with webhooks."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from domain.webhooks.deliveries import Delivery
from persistence.encryption import SecretCipher
from persistence.repositories.endpoints import Endpoints
from persistence.repositories.redeliveries import Redeliveries
from persistence.request_unit import RequestUnit
from persistence.unit_of_work import sessions


class WebhookIntakeUnit(RequestUnit):
    """A unit of work with the writes about endpoints and deliveries."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], box: SecretCipher) -> None:
        super().__init__(sessions)
        self.endpoints = Endpoints(self._session, box)
        self.redeliveries = Redeliveries(self._session)

    async def subject(self, ids: Mapping[str, str]) -> Delivery | None:
        """The delivery, while it is pending."""
        return await self.redeliveries.pending(UUID(ids["delivery_id"])) if "delivery_id" in ids else None


WebhookIntakeFactory: TypeAlias = Callable[[], WebhookIntakeUnit]


def webhook_intake_factory(engine: AsyncEngine, box: SecretCipher) -> WebhookIntakeFactory:
    return partial(WebhookIntakeUnit, sessions(engine), box)
