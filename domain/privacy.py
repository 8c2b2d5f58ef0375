"""People who are to be forgotten, and what is kept for how long."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


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
