"""A re-score uses the current questions where they fit the stored answers, and keeps what people decided."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest

from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.questions import Item, QuestionKind
from domain.assessments.results import Scores
from domain.errors import Conflict
from domain.grading.reviews import Review
from domain.grading.rules import score_rules
from domain.grading.scores import EssayScore
from domain.rescores.comparison import (
    ANSWER_DELETED,
    QUESTION_CHANGED_AGAIN,
    QUESTION_WITHDRAWN,
    REVIEW_DOES_NOT_FIT,
    PublishedResult,
    Task,
    rescore,
    scores_changed,
)
from domain.rescores.differences import SkillDifference, unchanged
from domain.rescores.rescores import DifferenceOutcome, Rescore, RescoreScope, RescoreStatus
from tests.domain.builders import (
    SQL,
    an_id,
    answer_format,
    criterion,
    essay,
    essay_score,
    item,
    number,
    question,
    rating,
    single,
)

NEW: Final = "1" * 64
ASSESSMENT: Final = Assessment(
    id=an_id("assessment"),
    user_id=an_id("user"),
    organization_id=an_id("organization"),
    role_id=an_id("role"),
    status=AssessmentStatus.COMPLETED,
    run=1,
    revision=1,
    expires_at=datetime(2026, 1, 1, tzinfo=UTC),
)
CHOICE: Final = item(single(), "green", name="choice")
RUBRIC: Final = essay(criterion("cause"))
ESSAY: Final = item(RUBRIC, "Because of the join.", name="essay")
GRADED: Final = essay_score(rating("cause", "Proficient", 2), name="essay", max_points=Decimal(4))


def published(*items: Item, essays: tuple[EssayScore, ...] = (), **parts: Any) -> PublishedResult:
    scores = Scores(rules=score_rules(items).scores, essays=essays)
    return PublishedResult(assessment=ASSESSMENT, items=items, scores=scores, **parts)


def task(scope: RescoreScope, *questions: Any) -> Task:
    return Task(scope=scope, current={each.id: each for each in questions})


def changed(asked: Item, **fields: Any) -> Any:
    return replace(asked.question, version=NEW, **fields)


def review(levels: dict[str, str], **fields: Any) -> Review:
    return Review(id=an_id("review"), snapshot_id=an_id("essay"), levels=levels, **fields)


def test_a_corrected_key_changes_the_points_and_the_version() -> None:
    before = published(CHOICE)

    after = rescore(before, task(RescoreScope.RULES, changed(CHOICE, rubric=single(correct="red"))))

    assert [score.points for score in after.scores.rules] == [0]
    assert after.versions(before) == {an_id("choice"): NEW}
    assert scores_changed(before, after.scores)


def test_an_unchanged_question_gives_the_same_scores() -> None:
    before = published(CHOICE)

    after = rescore(before, task(RescoreScope.RULES, CHOICE.question))

    assert (after.scores.rules, after.versions(before)) == (before.scores.rules, {})
    assert not scores_changed(before, after.scores)


@pytest.mark.parametrize(
    ("current", "reason"),
    [
        (None, QUESTION_WITHDRAWN),
        (
            replace(question(number(), name="choice"), version=NEW),
            "The question's kind changed from single to number.",
        ),
        (
            changed(
                CHOICE,
                rubric=single(correct="a"),
                answer_format=answer_format(QuestionKind.SINGLE, choices=("a", "b")),
            ),
            "The stored answer does not fit the current question: must be one of the choices.",
        ),
    ],
    ids=["withdrawn", "other kind", "other choices"],
)
def test_an_item_that_cannot_be_scored_keeps_its_score_with_the_reason(current: Any, reason: str) -> None:
    before = published(CHOICE)

    after = rescore(before, task(RescoreScope.RULES, *([current] if current else [])))

    assert after.not_comparable == {an_id("choice"): reason}
    assert (after.scores.rules, after.versions(before)) == (before.scores.rules, {})
    difference = unchanged(before, task(RescoreScope.RULES, CHOICE.question), after)
    assert (difference.outcome, difference.difference.items[0].not_comparable) == (
        DifferenceOutcome.NOT_COMPARABLE,
        reason,
    )


def test_a_deleted_answer_is_not_scored_as_unanswered() -> None:
    before = published(CHOICE)
    deleted = replace(before, items=(replace(CHOICE, answer=None),))

    after = rescore(deleted, task(RescoreScope.RULES, changed(CHOICE)))

    assert after.not_comparable == {an_id("choice"): ANSWER_DELETED}


def test_an_unanswered_item_stays_unanswered() -> None:
    unanswered = replace(CHOICE, answer=None)

    after = rescore(published(unanswered), task(RescoreScope.RULES, changed(unanswered)))

    assert (after.not_comparable, after.scores.rules[0].rule) == ({}, "unanswered")


def test_a_rescore_of_rules_leaves_essays_alone() -> None:
    before = published(CHOICE, ESSAY, essays=(GRADED,))

    after = rescore(before, task(RescoreScope.RULES, CHOICE.question, changed(ESSAY)))

    assert (after.scores.essays, after.ungraded) == ((GRADED,), ())


def test_an_answered_essay_waits_for_its_grade() -> None:
    before = published(ESSAY, essays=(GRADED,))
    essays = task(RescoreScope.ESSAYS, changed(ESSAY))

    assert rescore(before, essays).ungraded == (an_id("essay"),)

    better = replace(GRADED, points=Decimal(4), rubric_version=NEW)
    after = rescore(before, essays, {an_id("essay"): better})
    assert (after.ungraded, after.scores.essays) == ((), (better,))


def test_an_essay_that_cannot_be_graded_keeps_its_score_with_the_reason() -> None:
    before = published(ESSAY, essays=(GRADED,))

    after = rescore(before, task(RescoreScope.ESSAYS, changed(ESSAY)), {an_id("essay"): "Refused."})

    assert (after.scores.essays, after.not_comparable) == ((GRADED,), {an_id("essay"): "Refused."})


def test_a_grade_by_a_version_that_is_not_current_any_more_is_not_used() -> None:
    before = published(ESSAY, essays=(GRADED,))

    after = rescore(before, task(RescoreScope.ESSAYS, changed(ESSAY)), {an_id("essay"): GRADED})

    assert after.not_comparable == {an_id("essay"): QUESTION_CHANGED_AGAIN}


def test_a_reviewers_levels_stay_and_get_the_points_of_the_current_rubric() -> None:
    before = published(
        ESSAY,
        essays=(replace(GRADED, reviewed=True),),
        reviews=(review({"cause": "Proficient"}, published_revision=1),),
    )
    doubled = essay(criterion("cause", 0, 2, 4, 8))

    after = rescore(before, task(RescoreScope.ESSAYS, changed(ESSAY, rubric=doubled)))

    (score,) = after.scores.essays
    assert (score.points, score.reviewed, score.rubric_version) == (Decimal(4), True, NEW)
    assert after.ungraded == ()


def test_a_reviewers_levels_that_do_not_fit_the_current_rubric_keep_the_published_score() -> None:
    before = published(ESSAY, essays=(GRADED,), reviews=(review({"cause": "Proficient"}, published_revision=1),))

    after = rescore(before, task(RescoreScope.ESSAYS, changed(ESSAY, rubric=essay(criterion("remedy")))))

    assert (after.scores.essays, after.not_comparable) == ((GRADED,), {an_id("essay"): REVIEW_DOES_NOT_FIT})


def test_a_review_that_is_not_published_yet_is_part_of_the_new_result() -> None:
    before = published(CHOICE, ESSAY, essays=(GRADED,), reviews=(review({"cause": "Strong"}),))

    after = rescore(before, task(RescoreScope.RULES, CHOICE.question))

    assert (after.scores.essays[0].points, after.scores.reviews) == (Decimal(4), (an_id("review"),))
    assert scores_changed(before, after.scores)


def test_only_the_named_question_is_scored_again() -> None:
    other = item(single(), "green", name="other")
    current = {each.question.id: changed(each, rubric=single(correct="red")) for each in (CHOICE, other)}

    after = rescore(
        published(CHOICE, other),
        Task(scope=RescoreScope.RULES, current=current, question_id=other.question.id),
    )

    assert [score.points for score in after.scores.rules] == [1, 0]


@pytest.mark.parametrize(
    ("old", "new", "reached", "fell_below"),
    [
        ("0.7", "0.8", True, False),
        ("0.8", "0.7", False, True),
        ("0.8", "0.9", False, False),
        ("0.1", None, False, False),
    ],
)
def test_a_skill_reaches_its_target_or_falls_below_it(
    old: str, new: str | None, *, reached: bool, fell_below: bool
) -> None:
    target = Decimal("0.8")
    skill = SkillDifference(
        skill=SQL,
        old_score=Decimal(old),
        new_score=Decimal(new) if new else None,
        old_target=target,
        new_target=target,
    )

    assert (skill.reached, skill.fell_below) == (reached, fell_below)


def a_rescore(status: RescoreStatus) -> Rescore:
    return Rescore(
        id=an_id("rescore"),
        organization_id=an_id("organization"),
        role_id=an_id("role"),
        question_id=None,
        since=None,
        versions=(),
        scope=RescoreScope.RULES,
        status=status,
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("status", RescoreStatus)
def test_a_rescore_is_applied_only_when_its_differences_are_known(status: RescoreStatus) -> None:
    if status in {RescoreStatus.COMPUTED, RescoreStatus.STOPPED, RescoreStatus.APPLYING}:
        a_rescore(status).check_applicable()
    else:
        with pytest.raises(Conflict):
            a_rescore(status).check_applicable()


def test_a_rescore_is_not_discarded_while_it_is_applied() -> None:
    with pytest.raises(Conflict):
        a_rescore(RescoreStatus.APPLYING).check_discardable()
