"""A reviewer's levels replace a grader's, and the feedback follows them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from domain.grading.reviews import Review, reviewed
from domain.grading.scores import EssayScore
from tests.domain.builders import abstention, an_id, criterion, essay, essay_score, rating

RUBRIC: Final = essay(criterion("cause"), criterion("remedy", 0, 1, 3, 6))
ESTIMATED: Final = {"cause": "Emerging", "remedy": "Proficient"}


def graded(model: str, feedback: str = "What the grader said.") -> EssayScore:
    return essay_score(
        rating("cause", "Emerging", 1), rating("remedy", "Proficient", 3), model=model, feedback=feedback
    )


def review(levels: Mapping[str, str], comment: str | None = None) -> Review:
    return Review(id=an_id("review"), snapshot_id=an_id("q"), levels=levels, comment=comment)


LOCAL: Final = graded("local-minilm-1", "An automatic estimate. A reviewer has not read this answer yet.")
MODEL: Final = graded("gpt-test")


@pytest.mark.parametrize("score", [LOCAL, MODEL, abstention()], ids=["local", "model", "abstained"])
def test_the_feedback_has_the_reviewers_comment_and_levels_instead_of_the_graders_text(score: EssayScore) -> None:
    feedback = reviewed(RUBRIC, score, review(ESTIMATED, "Well argued.")).feedback

    assert feedback.splitlines() == [
        "A reviewer graded this answer: 40 % of the points.",
        "Well argued.",
        "Finds the cause: 25 %. The next level asks for this: Proficient work",
        "Finds the remedy: 50 %. The next level asks for this: Strong work",
    ]


@pytest.mark.parametrize("score", [LOCAL, abstention()], ids=["local", "abstained"])
def test_feedback_of_no_language_model_is_rebuilt_from_the_reviewers_levels(score: EssayScore) -> None:
    feedback = reviewed(RUBRIC, score, review(ESTIMATED)).feedback

    assert feedback.splitlines() == [
        "A reviewer graded this answer: 40 % of the points.",
        "Finds the cause: 25 %. The next level asks for this: Proficient work",
        "Finds the remedy: 50 %. The next level asks for this: Strong work",
    ]


def test_a_language_models_feedback_stays_when_every_level_is_confirmed() -> None:
    assert reviewed(RUBRIC, MODEL, review(ESTIMATED)).feedback == "What the grader said."


def test_a_language_models_feedback_is_rebuilt_when_a_level_is_changed() -> None:
    feedback = reviewed(RUBRIC, MODEL, review(ESTIMATED | {"cause": "Strong"})).feedback

    assert "What the grader said." not in feedback
    assert "Finds the cause: 100 %, the highest level." in feedback


def test_a_confirmed_estimate_says_that_a_reviewer_confirmed_it() -> None:
    score = reviewed(RUBRIC, LOCAL, review(ESTIMATED))

    assert {each.rationale for each in score.ratings} == {"Confirmed by a reviewer."}


def test_a_language_models_rationale_stays_where_its_level_is_confirmed() -> None:
    score = reviewed(RUBRIC, MODEL, review(ESTIMATED | {"cause": "Strong"}))

    assert [each.rationale for each in score.ratings] == ["Set by a reviewer.", "It says so."]


def test_a_second_review_with_other_levels_replaces_the_comment_of_the_first() -> None:
    first = reviewed(RUBRIC, MODEL, review(ESTIMATED | {"cause": "Strong"}, "You found the cause."))

    second = reviewed(RUBRIC, first, review(ESTIMATED | {"cause": "Missing"}))

    assert "You found the cause." not in second.feedback
    assert "Finds the cause: 0 %." in second.feedback


def test_a_second_review_that_confirms_the_first_keeps_its_comment() -> None:
    levels = ESTIMATED | {"cause": "Strong"}
    first = reviewed(RUBRIC, MODEL, review(levels, "You found the cause."))

    assert reviewed(RUBRIC, first, review(levels)).feedback == first.feedback


def test_a_changed_level_keeps_the_levels_of_the_samples_but_not_the_graders_quotes() -> None:
    rated = rating("cause", "Emerging", 1)
    sampled = replace(rated, sample_levels=("Emerging", "Strong"), quotes=("the join drops rows",))
    score = essay_score(sampled, rating("remedy", "Proficient", 3), model="gpt-test")

    changed = reviewed(RUBRIC, score, review(ESTIMATED | {"cause": "Strong"})).ratings[0]

    assert (changed.sample_levels, changed.quotes) == (("Emerging", "Strong"), ())


@pytest.mark.parametrize("comment", [None, "Well argued."])
@pytest.mark.parametrize("score", [LOCAL, MODEL, abstention()], ids=["local", "model", "abstained"])
def test_a_later_revision_repeats_a_review_without_a_change(score: EssayScore, comment: str | None) -> None:
    once = reviewed(RUBRIC, score, review(ESTIMATED | {"cause": "Strong"}, comment))

    assert reviewed(RUBRIC, once, review(ESTIMATED | {"cause": "Strong"}, comment)) == once
