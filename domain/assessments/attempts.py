"""A role's rules for attempts: how many, how soon again, and when a student may see the right answers.

Every attempt at a role asks the same questions. An attempt counts unless it failed: one that expired without an
answer was never graded, and one that the system could not process is not the student's fault.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.errors import NoAttemptsLeft, RetakeNotYet

MAX_ATTEMPTS: Final = 100
MAX_COOL_DOWN_HOURS: Final = 8_760
"""A year."""


class Reveal(StrEnum):
    """When a student may see the right answers and their explanations, once there is a result."""

    ALWAYS = "always"
    AFTER_LAST_ATTEMPT = "after_last_attempt"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPolicy:
    """`attempts` None: no limit. `cool_down_hours` pass between the end of an attempt and the start of the next."""

    reveal: Reveal = Reveal.ALWAYS
    attempts: int | None = None
    cool_down_hours: int = 0

    def __post_init__(self) -> None:
        if self.attempts is not None and not 1 <= self.attempts <= MAX_ATTEMPTS:
            raise ValueError(f"attempts: must be between 1 and {MAX_ATTEMPTS}")
        if not 0 <= self.cool_down_hours <= MAX_COOL_DOWN_HOURS:
            raise ValueError(f"cool_down_hours: must be between 0 and {MAX_COOL_DOWN_HOURS}")
        if self.reveal is Reveal.AFTER_LAST_ATTEMPT and self.attempts is None:
            raise ValueError("attempts: must be set, because reveal is after_last_attempt")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptHistory:
    """A student's attempts at a role that count, by status.

    `last_ended_at` is when the newest submitted attempt was submitted, or expired if that was earlier.
    """

    in_progress: int = 0
    processing: int = 0
    completed: int = 0
    last_ended_at: datetime | None = None

    @property
    def used(self) -> int:
        return self.in_progress + self.processing + self.completed


def attempts_left(policy: AttemptPolicy, history: AttemptHistory) -> int | None:
    """Return how many attempts the student may still start. None: no limit."""
    return None if policy.attempts is None else max(0, policy.attempts - history.used)


def next_start(policy: AttemptPolicy, history: AttemptHistory) -> datetime | None:
    """Return when the cool-down of the last attempt ends. None: there is no cool-down."""
    if history.last_ended_at is None or not policy.cool_down_hours:
        return None
    return history.last_ended_at + timedelta(hours=policy.cool_down_hours)


def check_start(policy: AttemptPolicy, history: AttemptHistory, now: datetime) -> None:
    """Check that the student may start another attempt now.

    Raises:
        NoAttemptsLeft: all attempts are used up.
        RetakeNotYet: the cool-down has not ended; `details.from` says when it does.
    """
    if attempts_left(policy, history) == 0:
        raise NoAttemptsLeft("You have used all attempts at this role")
    start = next_start(policy, history)
    if start is not None and now < start:
        raise RetakeNotYet("You can start this role again later", details={"from": _rfc_3339(start)})


def _rfc_3339(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def reveals_answers(policy: AttemptPolicy, history: AttemptHistory) -> bool:
    """Return whether the student may see the right answers and explanations of published results.

    After the last attempt means: as many attempts as allowed have a result, and none is open. An attempt that is still
    being processed may fail and then be replaced, so it is not the last one yet.
    """
    match policy.reveal:
        case Reveal.ALWAYS:
            return True
        case Reveal.NEVER:
            return False
        case Reveal.AFTER_LAST_ATTEMPT:
            return policy.attempts is not None and history.completed >= policy.attempts and not history.in_progress
