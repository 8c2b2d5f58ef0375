from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from domain.assessments.lifecycle import EXPIRED, Assessment, AssessmentStatus, Healing
from domain.errors import InvalidAssessmentState
from tests.domain.builders import an_id

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
IN_PROGRESS, AWAITING, COMPLETED, FAILED = AssessmentStatus

Move = Callable[[Assessment], Assessment]
MOVES: dict[str, Move] = {
    "submit": Assessment.submit,
    "expire answered": lambda assessment: assessment.expire(answered=True),
    "expire unanswered": lambda assessment: assessment.expire(answered=False),
    "claim": lambda assessment: assessment.claim(NOW),
    "complete": lambda assessment: assessment.complete(NOW, degraded=False, healing=Healing.NONE),
    "fail": lambda assessment: assessment.fail("corrupt_data"),
    "rerun": Assessment.rerun,
}
LEGAL = {
    ("submit", IN_PROGRESS): AWAITING,
    ("expire answered", IN_PROGRESS): AWAITING,
    ("expire unanswered", IN_PROGRESS): FAILED,
    ("claim", AWAITING): AWAITING,
    ("complete", AWAITING): COMPLETED,
    ("fail", IN_PROGRESS): FAILED,
    ("fail", AWAITING): FAILED,
    ("rerun", FAILED): AWAITING,
}


def an_assessment(status: AssessmentStatus = IN_PROGRESS) -> Assessment:
    return Assessment(
        id=an_id("assessment"),
        user_id=an_id("student"),
        organization_id=an_id("organization"),
        role_id=an_id("role"),
        status=status,
        run=1,
        revision=0,
        expires_at=NOW + timedelta(hours=1),
    )


@pytest.mark.parametrize(("move", "start"), LEGAL)
def test_an_allowed_transition_reaches_its_status(move: str, start: AssessmentStatus) -> None:
    assert MOVES[move](an_assessment(start)).status is LEGAL[move, start]


@pytest.mark.parametrize(("move", "start"), sorted(set(product(MOVES, AssessmentStatus)) - set(LEGAL)))
def test_every_other_transition_is_rejected(move: str, start: AssessmentStatus) -> None:
    with pytest.raises(InvalidAssessmentState, match=f"Assessment is {start}"):
        MOVES[move](an_assessment(start))


def test_answers_are_accepted_while_the_assessment_is_open() -> None:
    an_assessment().check_open(NOW)


@pytest.mark.parametrize("status", [AWAITING, COMPLETED, FAILED])
def test_answers_are_refused_after_submission(status: AssessmentStatus) -> None:
    with pytest.raises(InvalidAssessmentState, match="no longer accepted"):
        an_assessment(status).check_open(NOW)


def test_answers_are_refused_from_the_moment_it_expires() -> None:
    assessment = an_assessment()
    with pytest.raises(InvalidAssessmentState, match="expired"):
        assessment.check_open(assessment.expires_at)


def test_claiming_again_keeps_the_first_time() -> None:
    claimed = an_assessment(AWAITING).claim(NOW)
    assert claimed.claim(NOW + timedelta(minutes=1)).claimed_at == NOW


def test_completing_publishes_the_next_revision() -> None:
    done = an_assessment(AWAITING).complete(NOW, degraded=True, healing=Healing.DUE)
    assert (done.revision, done.completed_at, done.degraded, done.healing) == (1, NOW, True, Healing.DUE)


def test_a_failure_keeps_its_reason() -> None:
    assert an_assessment(AWAITING).fail("corrupt_data").failure_reason == "corrupt_data"


def test_a_rerun_resets_claim_and_failure() -> None:
    failed = replace(an_assessment(AWAITING), claimed_at=NOW).fail("corrupt_data")
    again = failed.rerun()
    assert (again.run, again.claimed_at, again.failure_reason) == (2, None, None)


def test_an_assessment_that_expired_without_an_answer_cannot_be_run_again() -> None:
    expired = an_assessment().expire(answered=False)
    assert expired.failure_reason == EXPIRED
    with pytest.raises(InvalidAssessmentState, match="expired without an answer"):
        expired.rerun()


@pytest.mark.parametrize("healing", [Healing.DUE, Healing.FINAL, Healing.STOPPED])
def test_retried_healing_is_due_in_every_state(healing: Healing) -> None:
    done = an_assessment(AWAITING).complete(NOW, degraded=True, healing=Healing.DUE)
    again = replace(done, healing=healing, failure_reason="corrupt_data").retry_healing()
    assert again == done


def test_a_result_without_anything_to_heal_is_not_healed() -> None:
    done = an_assessment(AWAITING).complete(NOW, degraded=True, healing=Healing.NONE)
    with pytest.raises(InvalidAssessmentState, match="nothing to heal"):
        done.retry_healing()


@pytest.mark.parametrize("status", [IN_PROGRESS, AWAITING, FAILED])
def test_only_a_published_result_is_healed(status: AssessmentStatus) -> None:
    with pytest.raises(InvalidAssessmentState, match=f"Assessment is {status}"):
        replace(an_assessment(status), healing=Healing.STOPPED).retry_healing()


def a_result(**changes: Any) -> Assessment:
    return replace(replace(an_assessment(COMPLETED), revision=1, completed_at=NOW), **changes)


def test_a_held_first_revision_is_not_shown() -> None:
    held = an_assessment(AWAITING).complete(NOW, degraded=True, healing=Healing.DUE, held=True)

    assert (held.status, held.revision, held.shown_revision, held.held) == (COMPLETED, 1, 0, True)
    assert held.as_student_sees() == an_assessment(AWAITING)


def test_a_held_later_revision_leaves_the_shown_one() -> None:
    held = a_result().revise(degraded=False, healing=Healing.NONE, held=True)
    held_again = held.revise(degraded=False, healing=Healing.NONE, held=True)

    assert (held.revision, held.shown_revision) == (2, 1)
    assert (held_again.revision, held_again.shown_revision) == (3, 1)
    assert held.as_student_sees().revision == 1


def test_a_later_revision_that_is_not_held_ends_the_hold() -> None:
    released = a_result(released_revision=0).revise(degraded=False, healing=Healing.NONE)

    assert (released.held, released.shown_revision) == (False, 2)


def test_a_release_shows_the_current_revision() -> None:
    released = a_result(revision=3, released_revision=1).release()

    assert (released.held, released.shown_revision) == (False, 3)
    assert released.release() == released


@pytest.mark.parametrize("status", [IN_PROGRESS, AWAITING, FAILED])
def test_only_a_result_can_be_released(status: AssessmentStatus) -> None:
    with pytest.raises(InvalidAssessmentState):
        an_assessment(status).release()
