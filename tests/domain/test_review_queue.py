"""Why an essay is in the review queue, and which decisions are refused."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.grading.review_queue import (
    Claim,
    ClaimNotHeld,
    ItemAppealed,
    ItemClaimed,
    ItemDecided,
    QueuedItem,
    ReviewReason,
    RevisionOutdated,
    audit_draw,
    check_claim,
    check_decision,
    check_held,
    review_reasons,
)
from domain.grading.scores import CriterionRating, DegradedReason, EssayScore
from tests.support.builders import an_essay_score

ME, OTHER = uuid4(), uuid4()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

ABSTENTION: dict[str, Any] = {"points": None, "fraction": None, "needs_review": True}


def score(**changes: Any) -> EssayScore:
    return an_essay_score(changes.pop("snapshot_id", uuid4()), **changes)


def rating(confidence: str) -> CriterionRating:
    return CriterionRating(
        criterion=confidence, level="solid", points=Decimal(1), rationale="It is.", confidence=Decimal(confidence)
    )


def claim(user_id: UUID = ME, *, live: bool = True) -> Claim:
    return Claim(user_id=user_id, email="somebody@example.org", expires_at=NOON, live=live)


def item(
    claimed: Claim | None, *, waiting: bool = True, reasons: tuple[ReviewReason, ...] = (ReviewReason.FLAGGED,)
) -> QueuedItem:
    return QueuedItem(reasons=reasons, waiting=waiting, claim=claimed)


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        (ABSTENTION, ["abstained"]),
        (ABSTENTION | {"flags": ("other_language",)}, ["abstained", "flagged"]),
        ({"needs_review": True, "flags": ("unrelated",)}, ["flagged"]),
        ({"needs_review": True, "flags": ("too_short",), "model": "local-1"}, ["flagged"]),
        ({"needs_review": True, "flags": ("too_short",), "model": "gpt-1"}, ["low_confidence"]),
        ({"needs_review": True, "confidence": Decimal("0.4")}, ["low_confidence"]),
        ({"needs_review": True, "ratings": (rating("0.3"), rating("1"))}, ["low_confidence"]),
        ({"needs_review": True, "flags": ("unrelated",), "confidence": Decimal("0.4")}, ["flagged", "low_confidence"]),
        ({"needs_review": True, "degraded_reason": DegradedReason.GRADER_FAILED}, ["low_confidence"]),
        ({"flags": ("too_short",), "model": "gpt-1"}, []),
        ({}, []),
    ],
    ids=str,
)
def test_a_score_has_a_reason_exactly_when_it_needs_a_review(changes: dict[str, Any], reasons: list[str]) -> None:
    assert list(review_reasons(score(**changes), audit_share=0)) == reasons


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_about_the_configured_share_of_confident_grades_is_sampled(share: float) -> None:
    grades = [score(snapshot_id=UUID(int=number)) for number in range(4000)]

    sampled = [grade for grade in grades if review_reasons(grade, share) == (ReviewReason.AUDIT_SAMPLE,)]

    assert len(sampled) == pytest.approx(4000 * share, abs=120)


def test_a_larger_share_samples_the_same_essays_and_more() -> None:
    grades = [score(snapshot_id=UUID(int=number)) for number in range(1000)]

    few, many = [{each.snapshot_id for each in grades if review_reasons(each, share)} for share in (0.05, 0.2)]

    assert few < many


def test_the_draw_depends_on_the_essay_only() -> None:
    assert audit_draw(UUID(int=1)) == audit_draw(UUID(int=1)) != audit_draw(UUID(int=2))


@pytest.mark.parametrize("changes", [{"reviewed": True}, {"model": "none", "points": Decimal(0)}], ids=str)
def test_reviewed_and_unanswered_essays_are_not_sampled(changes: dict[str, Any]) -> None:
    assert review_reasons(score(**changes), audit_share=1) == ()


def test_a_doubtful_score_is_not_sampled_too() -> None:
    assert ReviewReason.AUDIT_SAMPLE not in review_reasons(score(needs_review=True), audit_share=1)


def test_a_live_claim_of_another_reviewer_is_named() -> None:
    with pytest.raises(ItemClaimed) as refused:
        check_claim(claim(OTHER), ME)
    assert refused.value.details == {"claimed_by": "somebody@example.org", "expires_at": "2026-01-01T12:00:00+00:00"}


@pytest.mark.parametrize("found", [None, claim(ME), claim(OTHER, live=False)])
def test_an_own_or_expired_claim_excludes_nobody(found: Claim | None) -> None:
    check_claim(found, ME)


@pytest.mark.parametrize("held", [claim(ME), claim(ME, live=False)])
def test_a_decision_on_the_seen_revision_under_the_own_claim_is_accepted(held: Claim) -> None:
    check_decision(item(held), ME, seen_revision=2, revision=2)


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (None, ItemDecided),
        (item(None, waiting=False), ItemDecided),
        (item(claim(OTHER)), ItemClaimed),
        (item(claim(OTHER, live=False)), ClaimNotHeld),
        (item(None), ClaimNotHeld),
    ],
)
def test_a_claim_is_not_held(found: QueuedItem | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_held(found, ME, revision=1)


def test_a_decision_about_an_older_revision_names_the_newest() -> None:
    with pytest.raises(RevisionOutdated) as refused:
        check_decision(item(claim()), ME, seen_revision=1, revision=2)
    assert refused.value.details == {"revision": "2"}


def test_a_decision_about_an_essay_that_left_the_queue_names_the_newest_revision() -> None:
    with pytest.raises(ItemDecided) as refused:
        check_decision(None, ME, seen_revision=1, revision=2)
    assert refused.value.details == {"revision": "2"}


def test_the_answer_to_an_appeal_decides_an_appealed_essay() -> None:
    appealed = replace(item(claim()), reasons=(ReviewReason.APPEALED,))
    with pytest.raises(ItemAppealed):
        check_decision(appealed, ME, seen_revision=1, revision=1)
