"""The unit of work of a request that writes."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction, async_sessionmaker

from domain.assessments.lifecycle import Assessment
from domain.webhooks.deliveries import Delivery
from persistence.queries.catalog_views import ImportView
from persistence.repositories.idempotency import IdempotencyKeys
from persistence.unit_of_work import SqlUnitOfWork


class RequestUnit(SqlUnitOfWork):
    """A unit of work that knows which requests were answered before."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        super().__init__(sessions)
        self.keys = IdempotencyKeys(self._session)

    def savepoint(self) -> AsyncSessionTransaction:
        """Opened with `async with`; an error inside undoes what was done inside, and nothing else."""
        return self._session.begin_nested()

    async def subject(self, ids: Mapping[str, str]) -> Assessment | Delivery | ImportView | None:  # noqa: ARG002  # for others
        """What the engine is told of when an answer with these ids is given again; None if nothing."""
        return None
