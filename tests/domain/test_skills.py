from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.assessments.questions import Item
from domain.errors import CorruptData, InvalidInput
from domain.grading.rubrics import unanswered_essay
from domain.grading.rules import score_rules
from domain.grading.scores import RuleScore
from domain.recommending.roles import Role, SkillTarget
from domain.recommending.skills import SkillLevel, skill_gaps, skill_profile
from tests.domain.builders import (
    CHOICES,
    CLEANING,
    SQL,
    abstention,
    an_id,
    criterion,
    essay,
    essay_score,
    item,
    multiple,
    number,
    rating,
    rule_score,
    scale,
    single,
)


def level(score: str | None, evidence: str, skill: str = SQL) -> SkillLevel:
    return SkillLevel(skill=skill, score=None if score is None else Decimal(score), evidence=Decimal(evidence))


def test_a_skill_is_the_mean_of_its_scores_by_weight() -> None:
    items = [item(single(), name="a", weight="1"), item(single(), name="b", weight="3")]
    assert skill_profile(items, [rule_score("a", "1"), rule_score("b", "0.5")], []) == (level("0.6250", "4.0000"),)


def test_a_questions_weight_is_shared_among_its_skills() -> None:
    items = [item(single(skills=(SQL, CLEANING)), name="a"), item(single(), name="b", weight="0.5")]
    assert skill_profile(items, [rule_score("a", "1"), rule_score("b", "0")], []) == (
        level("1.0000", "0.5000", CLEANING),
        level("0.5000", "1.0000"),
    )


def test_an_essays_weight_is_shared_by_what_its_criteria_are_worth() -> None:
    rubric = essay(criterion("cause", 0, 1, 2, 4), criterion("remedy", 0, 1, 3, 6, skills=(SQL, CLEANING)))
    score = essay_score(rating("cause", "Proficient", 2), rating("remedy", "Strong", 6))
    assert skill_profile([item(rubric, "A text.", weight="2")], [], [score]) == (
        level("1.0000", "0.6000", CLEANING),  # half of remedy's 1.2
        level("0.7143", "1.4000"),  # (0.5 x 0.8 + 1 x 0.6) / 1.4
    )


def test_profile_answers_have_half_the_weight() -> None:
    items = [item(scale(), "black", name="a"), item(single(), name="b")]
    assert skill_profile(items, [rule_score("a", "1"), rule_score("b", "0")], []) == (level("0.3333", "1.5000"),)


def test_an_abstained_essay_is_no_evidence() -> None:
    items = [item(essay(), "A text.", name="a"), item(single(), name="b")]
    assert skill_profile(items, [rule_score("b", "1")], [abstention("a")]) == (
        level(None, "0.0000", CLEANING),
        level("1.0000", "1.0000"),
    )


def test_an_unanswered_profile_question_is_no_evidence() -> None:
    assert skill_profile([item(scale())], [rule_score("q", None)], []) == (level(None, "0.0000"),)


def test_unanswered_questions_and_essays_count_as_0() -> None:
    items = [item(single(), name="a"), item(essay(criterion()), name="b")]
    scores = score_rules(items).scores
    assert skill_profile(items, scores, [unanswered_essay(items[1])]) == (level("0.0000", "2.0000"),)


@pytest.mark.parametrize("scores", [[], [rule_score("q", "1")]])
def test_an_essay_without_a_score_of_its_own_is_corrupt_data(scores: list[RuleScore]) -> None:
    with pytest.raises(CorruptData):
        skill_profile([item(essay(), "A text.")], scores, [])


def test_ratings_that_do_not_fit_the_rubric_are_refused() -> None:
    with pytest.raises(InvalidInput):
        skill_profile([item(essay(), "A text.")], [], [essay_score(rating("cause", "Strong", 4))])


@st.composite
def answered(draw: st.DrawFn) -> list[Item]:
    skills = st.lists(st.sampled_from([SQL, CLEANING, "Spreadsheets"]), min_size=1, unique=True).map(tuple)
    weights = st.decimals(min_value=Decimal("0.01"), max_value=Decimal("999.99"), places=2).map(str)
    answers = st.one_of(
        st.tuples(st.builds(single, skills=skills), st.none() | st.sampled_from(CHOICES)),
        st.tuples(st.builds(multiple, skills=skills), st.none() | st.sets(st.sampled_from(CHOICES)).map(tuple)),
        st.tuples(st.builds(number, skills=skills), st.sampled_from([Decimal(1250), Decimal(1)])),
        st.tuples(st.builds(scale, skills=skills), st.none() | st.sampled_from(CHOICES)),
    )
    pairs = draw(st.lists(st.tuples(answers, weights), max_size=8))
    return [
        item(rubric, answer, name=str(place), weight=weight) for place, ((rubric, answer), weight) in enumerate(pairs)
    ]


@given(answered())
def test_a_profile_stays_within_its_bounds(items: list[Item]) -> None:
    for found in skill_profile(items, score_rules(items).scores, []):
        assert found.score is None or 0 <= found.score <= 1
        assert (found.score is None) == (found.evidence == 0)


@given(answered(), st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(items: list[Item], random: Random) -> None:
    scores = list(score_rules(items).scores)
    before = skill_profile(items, scores, [])
    random.shuffle(items)
    random.shuffle(scores)
    assert skill_profile(items, scores, []) == before


@given(answered())
def test_evidence_is_never_more_than_the_weights(items: list[Item]) -> None:
    profile = skill_profile(items, score_rules(items).scores, [])
    weights = sum((Fraction(each.question.weight) for each in items), Fraction(0))
    assert sum(Fraction(each.evidence) for each in profile) <= weights + Fraction(len(profile), 20_000)


def a_role(*targets: tuple[str, str, str]) -> Role:
    skills = tuple(
        SkillTarget(skill=skill, description=f"About {skill}", target=Decimal(target), importance=Decimal(importance))
        for skill, target, importance in targets
    )
    return Role(id=an_id("role"), key="role", name="Role", description="", skills=skills)


def gaps(role: Role, *profile: SkillLevel) -> list[tuple[str, Decimal]]:
    return [(gap.skill, gap.gap) for gap in skill_gaps(role, profile)]


def test_a_gap_is_what_is_missing_to_the_target() -> None:
    assert gaps(a_role((SQL, "0.75", "1")), level("0.5", "2")) == [(SQL, Decimal("0.25"))]


def test_a_met_target_is_listed_without_a_gap() -> None:
    assert gaps(a_role((SQL, "0.75", "1")), level("0.9", "2")) == [(SQL, Decimal(0))]


@pytest.mark.parametrize("profile", [(), (level(None, "0"),)])
def test_without_evidence_the_whole_target_is_the_gap(profile: Any) -> None:
    (gap,) = skill_gaps(a_role((SQL, "0.75", "1")), profile)
    assert (gap.score, gap.gap, gap.evidence) == (None, Decimal("0.75"), Decimal(0))


def test_the_most_important_shortfall_comes_first_and_ties_go_by_name() -> None:
    role = a_role(("d", "0.5", "1"), ("a", "0.6", "1"), ("c", "0.4", "2"), ("b", "0.5", "1"))
    assert [skill for skill, _ in gaps(role)] == ["c", "a", "b", "d"]


def test_skills_the_role_does_not_ask_for_are_no_gaps() -> None:
    assert gaps(a_role((SQL, "0.5", "1")), level("0", "1", CLEANING)) == [(SQL, Decimal("0.5"))]


def test_a_gap_with_little_evidence_is_shrunk_towards_half_the_target() -> None:
    role = a_role((SQL, "0.8", "1"))
    firm, thin, none = (skill_gaps(role, each)[0] for each in ([level("0", "9.5")], [level("0", "0.5")], []))

    assert (firm.need, thin.need, none.need) == (Decimal("0.78"), Decimal("0.6"), Decimal("0.4"))


def test_a_reached_target_has_no_need_even_with_little_evidence() -> None:
    (gap,) = skill_gaps(a_role((SQL, "0.8", "2")), [level("0.8", "0.1")])
    assert gap.need == 0
