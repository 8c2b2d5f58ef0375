"""Healing: which provider a degraded result waits for, and the ports of the gates that release waiting results."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.grading.scores import DegradedReason


class Provider(StrEnum):
    """A service whose failure degrades results. Each organization has its own gate per provider."""

    LANGUAGE_MODEL = "language_model"
    SEARCH = "search"
    """The vector store and the embedding model."""

    @property
    def reasons(self) -> tuple[DegradedReason, ...]:
        """The reasons that may disappear when this provider works again."""
        return tuple(reason for reason in DegradedReason if reason.heals and provider_of(reason) is self)


def provider_of(reason: DegradedReason) -> Provider:
    return Provider.SEARCH if reason.of_search else Provider.LANGUAGE_MODEL


def providers_of(reasons: Iterable[DegradedReason]) -> tuple[Provider, ...]:
    """Return the providers of the reasons that may disappear without an operator or a reviewer."""
    awaited = {provider_of(reason) for reason in reasons if reason.heals}
    return tuple(provider for provider in Provider if provider in awaited)


class DegradedResults(Protocol):
    """The repository of published results that wait for a provider."""

    async def waiting(
        self, provider: Provider, organization_id: UUID, *, after: UUID | None, limit: int
    ) -> tuple[UUID, ...]:
        """Return the ids of the organization's assessments whose healing is due and needs the provider, by id.

        Assessments of users who are being erased are left out.
        """
        ...


class ProviderGates(Protocol):
    """The workflow engine, for the gates of providers. Every call is idempotent.

    Raises:
        ExternalServiceError: the engine did not accept the call in time.
    """

    async def ensure(self, provider: Provider, organization_id: UUID) -> str:
        """Start the gate unless it is running. Return its id, which operators can look up."""
        ...

    async def release(self, assessment_id: UUID, key: str) -> None:
        """Tell the run that heals the assessment that its provider answers. A repeated call with `key` does nothing.

        Nothing happens if no such run is live. Reconciliation starts it.
        """
        ...
