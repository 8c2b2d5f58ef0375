"""People who are to be forgotten, and what is kept for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.webhooks.deliveries import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The erasure of the person `id`. `organization_id` None: a platform admin."""

    id: UUID
    organization_id: UUID | None


class RetentionRule(StrEnum):
    """What is deleted or blanked once it is old; each value names the setting of its age."""

    IDEMPOTENCY_KEYS = "idempotency_keys"
    """Answers kept for replays, past their expiry."""
    REFRESH_TOKENS = "refresh_tokens"
    """Past their expiry."""
    WEBHOOK_ATTEMPTS = "webhook_attempts"
    WEBHOOK_EVENTS = "webhook_events"
    """With their deliveries, once none is pending."""
    JOBS = "jobs"
    """Steps of assessments that have ended."""
    MODEL_REPLIES = "model_replies"
    """The raw replies, not that they were bought, for results that wait for nothing."""
    DENIALS = "denials"
    ANSWERS = "answers"
    """Answers and raw replies of results that wait for nothing; an organization may set its own age."""


class ErasureRuns(Protocol):
    """The engine that runs erasures. Each call may be repeated; a second one changes nothing.

    Raises:
        ExternalServiceError: the engine did not take the call in time; reconciliation repeats it.
    """

    async def start(self, erasure: Erasure) -> None:
        """Ensures a live run of an erasure that has begun."""
        ...

    async def live(self, erasures: Sequence[Erasure]) -> frozenset[UUID]:
        """The ids of those with a live run, as far as the engine's index knows (seconds behind); at most 200 a call."""
        ...


class ErasureList(Protocol):
    """Who was erased, outside the database and its dumps."""

    async def add(self, user_id: UUID) -> None:
        """Durable when it returns; once, however often it is called."""
        ...


class Erasures(Protocol):
    """Forgetting people. Every call may be repeated."""

    async def begin(  # who is erased, and by whom
        self,
        user_id: UUID,
        *,
        organization_id: UUID | None,
        role: str | None = None,
        actor_id: UUID,
        actor_role: str,
    ) -> Erasure:
        """From the commit on nothing is written about the person, and no token of theirs is good; with an audit row.

        Only people of `organization_id` and of `role` may be erased; None stands for every one. An erasure that has
        begun goes on.

        Raises:
            NotFound: there is no such person, or they are erased.
            Conflict: they are the last admin.
        """
        ...

    async def confirm(self, user_id: UUID) -> None:
        """Raises NotFound where no erasure of such a person has begun."""
        ...

    async def unfinished(self, *, after: UUID | None, limit: int) -> tuple[Erasure, ...]:
        """Begun and not finished, by id, from after `after`."""
        ...

    async def assessments(self, user_id: UUID, *, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """The person's, by id, from after `after`."""
        ...

    async def pending_deliveries(self, assessment_ids: Sequence[UUID]) -> tuple[Delivery, ...]:
        """Of the events about these."""
        ...

    async def forget_assessments(self, assessment_ids: Sequence[UUID]) -> None:
        """Deletes or blanks what the person wrote and what was written about it; ends what is open."""
        ...

    async def forget_account(self, user_id: UUID) -> None:
        """Deletes or blanks the person's address, profile, sessions, credentials and remarks."""
        ...

    async def finish(self, user_id: UUID) -> None:
        """Notes that nothing is left, with an audit row."""
        ...


class AuditTrail(Protocol):
    async def seal(self, *, limit: int) -> int:
        """Links at most `limit` rows that are not sealed yet to the chain; returns how many."""
        ...


class Retention(Protocol):
    async def apply(self, rule: RetentionRule, *, days: int, limit: int) -> int:
        """Lets go of a batch that is older than `days` by the rule; returns how many rows, 0 when none is left."""
        ...
