"""Erasure of people, retention of data, and their ports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.webhooks.deliveries import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The erasure of the user `id`. `organization_id` None: the user is a platform admin."""

    id: UUID
    organization_id: UUID | None


class RetentionRule(StrEnum):
    """A kind of data that is deleted or blanked at a certain age. Each value names the setting of that age."""

    IDEMPOTENCY_KEYS = "idempotency_keys"
    """Stored responses of idempotent requests that have expired."""
    REFRESH_TOKENS = "refresh_tokens"
    """Expired refresh tokens."""
    WEBHOOK_ATTEMPTS = "webhook_attempts"
    WEBHOOK_EVENTS = "webhook_events"
    """Events and their deliveries, if no delivery is pending."""
    JOBS = "jobs"
    """Jobs of assessments that have ended."""
    MODEL_REPLIES = "model_replies"
    """The raw replies of results that wait for no healing, release, review or appeal.

    The record of each paid call stays.
    """
    DENIALS = "denials"
    RESCORES = "rescores"
    """The differences of re-scores that are not being computed or applied. The requests for re-scores stay."""
    ANSWERS = "answers"
    """Answers, raw replies and texts of appeals, if the result waits for no healing, release, review or appeal.

    An organization may set its own age.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionCursor:
    """The position after a row. Rows are ordered by a time and then by id; answers first by organization."""

    at: datetime
    id: UUID
    organization_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionBatch:
    """`rows`: the number of deleted or blanked rows. `cursor`: the last row looked at; None: there are no more."""

    rows: int
    cursor: RetentionCursor | None


class ErasureRuns(Protocol):
    """The workflow engine, for erasures. Every call is idempotent.

    Raises:
        ExternalServiceError: the engine did not accept the call in time. Reconciliation repeats it.
    """

    async def start(self, erasure: Erasure) -> None:
        """Start the run of an erasure that has begun, unless one is live."""
        ...

    async def live(self, erasures: Sequence[Erasure]) -> frozenset[UUID]:
        """Return the ids of erasures with a live run. The engine's index lags by seconds. At most 200 a call."""
        ...


class ErasureList(Protocol):
    """The list of erased users, stored outside the database and its dumps."""

    async def add(self, user_id: UUID) -> None:
        """Add the user durably. Repeated calls add one entry."""
        ...


class Erasures(Protocol):
    """The repository of erasures. Every call is idempotent."""

    async def begin(  # the erased user, and the user who erases
        self,
        user_id: UUID,
        *,
        organization_id: UUID | None,
        role: str | None = None,
        actor_id: UUID,
        actor_role: str,
    ) -> Erasure:
        """Begin an erasure and write an audit row. After the commit, writes about the user fail and tokens are invalid.

        Only users of `organization_id` with `role` may be erased; None allows any. A begun erasure continues.

        Raises:
            NotFound: the user does not exist or has been erased.
            Conflict: the user is the last admin.
        """
        ...

    async def confirm(self, user_id: UUID) -> None:
        """Raise NotFound unless an erasure of the user has begun."""
        ...

    async def unfinished(self, *, after: UUID | None, limit: int) -> tuple[Erasure, ...]:
        """Return erasures that have begun and not finished, by id, after `after`."""
        ...

    async def assessments(self, user_id: UUID, *, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """Return the ids of the user's assessments, after `after`."""
        ...

    async def pending_deliveries(self, assessment_ids: Sequence[UUID]) -> tuple[Delivery, ...]:
        """Return the pending deliveries of events about these assessments."""
        ...

    async def appeals(self, assessment_ids: Sequence[UUID]) -> tuple[UUID, ...]:
        """Return the ids of the appeals of these assessments."""
        ...

    async def forget_assessments(self, assessment_ids: Sequence[UUID]) -> None:
        """Delete or blank the user's answers and everything derived from them. End the assessments that are open."""
        ...

    async def forget_account(self, user_id: UUID) -> None:
        """Delete or blank the user's address, profile, sessions, credentials and remarks."""
        ...

    async def finish(self, user_id: UUID) -> None:
        """Mark the erasure as finished and write an audit row."""
        ...


class AuditTrail(Protocol):
    async def seal(self, *, limit: int) -> int:
        """Add at most `limit` unsealed rows to the hash chain. Return their number."""
        ...


class Retention(Protocol):
    async def apply(
        self, rule: RetentionRule, *, days: int, after: RetentionCursor | None, limit: int
    ) -> RetentionBatch:
        """Look at the `limit` oldest rows after `after` that are older than `days`; None: from the first row on.

        Delete or blank those of them that nothing needs any more and that no transaction has locked.
        """
        ...
