"""Attempts: what counts, when the next may start, and when right answers are shown."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from domain.assessments.attempts import (
    AttemptHistory,
    AttemptPolicy,
    Reveal,
    attempts_left,
    check_start,
    next_start,
    reveals_answers,
)
from domain.errors import NoAttemptsLeft, RetakeNotYet

ENDED: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONCE: Final = AttemptHistory(completed=1, last_ended_at=ENDED)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": 101}, "attempts"),
        ({"cool_down_hours": -1}, "cool_down_hours"),
        ({"cool_down_hours": 8_761}, "cool_down_hours"),
        ({"reveal": Reveal.AFTER_LAST_ATTEMPT}, "attempts"),
    ],
)
def test_an_invalid_policy_is_rejected(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        AttemptPolicy(**change)


def test_by_default_a_student_may_start_at_once_and_without_limit() -> None:
    check_start(AttemptPolicy(), AttemptHistory(completed=500, last_ended_at=ENDED), ENDED)

    assert attempts_left(AttemptPolicy(), ONCE) is None
    assert next_start(AttemptPolicy(), ONCE) is None


@pytest.mark.parametrize(
    "history", [AttemptHistory(in_progress=1), AttemptHistory(processing=1), AttemptHistory(completed=1)]
)
def test_an_attempt_that_has_not_failed_counts(history: AttemptHistory) -> None:
    assert attempts_left(AttemptPolicy(attempts=2), history) == 1


def test_a_limit_below_the_attempts_made_leaves_none() -> None:
    assert attempts_left(AttemptPolicy(attempts=1), AttemptHistory(completed=3)) == 0


def test_a_start_without_attempts_left_is_refused_also_during_the_cool_down() -> None:
    with pytest.raises(NoAttemptsLeft):
        check_start(AttemptPolicy(attempts=1, cool_down_hours=24), ONCE, ENDED)


def test_a_start_during_the_cool_down_is_refused_and_names_its_end() -> None:
    with pytest.raises(RetakeNotYet) as refused:
        check_start(AttemptPolicy(cool_down_hours=24), ONCE, ENDED + timedelta(hours=23, minutes=59))

    assert refused.value.details == {"from": "2026-03-02T12:00:00Z"}


def test_a_start_at_the_end_of_the_cool_down_is_allowed() -> None:
    check_start(AttemptPolicy(cool_down_hours=24), ONCE, ENDED + timedelta(hours=24))


@pytest.mark.parametrize(
    ("history", "revealed"),
    [
        (AttemptHistory(completed=1), False),
        (AttemptHistory(completed=1, in_progress=1), False),
        (AttemptHistory(completed=1, processing=1), False),
        (AttemptHistory(completed=2), True),
        (AttemptHistory(completed=3), True),
        (AttemptHistory(completed=2, in_progress=1), False),
        (AttemptHistory(completed=2, processing=1), True),
    ],
)
def test_answers_are_revealed_after_the_last_attempt(history: AttemptHistory, revealed: bool) -> None:  # noqa: FBT001
    assert reveals_answers(AttemptPolicy(reveal=Reveal.AFTER_LAST_ATTEMPT, attempts=2), history) is revealed


@pytest.mark.parametrize(("reveal", "revealed"), [(Reveal.ALWAYS, True), (Reveal.NEVER, False)])
def test_always_and_never_do_not_depend_on_attempts(reveal: Reveal, revealed: bool) -> None:  # noqa: FBT001
    assert reveals_answers(AttemptPolicy(reveal=reveal, attempts=1), ONCE) is revealed
