"""Read what rankings use of other learners, and keep it for a while."""

from typing import Final
from uuid import UUID

from async_lru import alru_cache

from domain.database import Database
from domain.recommending.calibration import Calibration, calibrate
from domain.recommending.recommendations import EarlierLearners, OtherLearners, Reactions

MAX_AGE_S: Final = 30.0
"""The age at which the data is read again. Reading the 5,000 learners of a large role can take half a second."""
MOST_KEPT: Final = 32
"""The number of roles, and of organizations, whose data is kept; a role with 5,000 learners takes about 3 MB."""


class OtherLearnersReader:
    """Reads the other learners of a role. Callers that need the same data at the same time wait for one reading.

    The data may be `max_age_s` seconds old: a reaction counts in the rankings of others after that time at the latest.
    """

    def __init__(self, database: Database, max_age_s: float = MAX_AGE_S) -> None:
        self._database = database
        self._earlier = alru_cache(MOST_KEPT, ttl=max_age_s)(self._read_earlier)
        self._reactions = alru_cache(MOST_KEPT, ttl=max_age_s)(self._read_reactions)

    async def everybody(self, organization_id: UUID, role_id: UUID, skills: frozenset[str]) -> OtherLearners:
        """Return the data of all learners. The caller leaves out its own learner with `without`."""
        earlier = await self._earlier(organization_id, role_id, skills)
        reactions, calibration = await self._reactions(organization_id)
        return OtherLearners(earlier=earlier, reactions=reactions, calibration=calibration)

    async def _read_earlier(self, organization_id: UUID, role_id: UUID, skills: frozenset[str]) -> EarlierLearners:
        async with self._database.statement() as uow:
            return await uow.catalog.earlier_learners(organization_id, role_id, sorted(skills))

    async def _read_reactions(self, organization_id: UUID) -> tuple[Reactions, Calibration]:
        async with self._database.statement() as uow:
            reactions = await uow.catalog.newest_reactions(organization_id)
            return reactions, calibrate(await uow.catalog.tallies(organization_id))
