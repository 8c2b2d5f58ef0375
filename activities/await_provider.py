"""Wait for the provider that a degraded result needs, without polling the provider."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.assessments.lifecycle import Healing
from domain.database import Database
from domain.healing import ProviderGates, providers_of

AWAITED: Final = "ProviderAwaited"
"""The type of the expected failure: the result still waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitInput:
    assessment_id: UUID


class AwaitProvider:
    def __init__(self, database: Database, gates: ProviderGates) -> None:
        self._database = database
        self._gates = gates

    @activity.defn
    async def await_provider(self, wanted: AwaitInput) -> None:
        """Ensure that the gates of the needed providers run, then fail, so that Temporal tries again much later.

        The gate releases the run with a signal. The next attempt only replaces a gate that was lost; a failed attempt
        adds nothing to the run's history. Return if the result needs no provider any more.

        Raises:
            ApplicationError: the result waits for the named gates.
        """
        async with self._database.statement() as uow:
            assessment = await uow.assessments.get(wanted.assessment_id)
            published = await uow.results.published(wanted.assessment_id)
        if assessment.healing is not Healing.DUE:
            return
        providers = providers_of(published.degraded_reasons)
        gates = [await self._gates.ensure(provider, assessment.organization_id) for provider in providers]
        if gates:
            raise ApplicationError(
                f"Waits for {' and '.join(gates)}", type=AWAITED, category=ApplicationErrorCategory.BENIGN
            )
