import re

from hypothesis import given

from domain.recommending.calibration import Calibration
from domain.recommending.ranking import AffinityEvidence
from domain.recommending.roles import Credential
from domain.recommending.skills import SkillGap
from tests.domain.builders import CLEANING, SQL, an_id
from tests.domain.recommending_builders import (
    CHARTS,
    INTERMEDIATE,
    SKILLS,
    blend,
    credential,
    gap,
    learners,
    needing,
    neighbour,
    sentence,
    titles,
)


def test_the_summary_says_that_ratings_of_other_roles_were_used() -> None:
    result = blend(credential("a"), affinities=AffinityEvidence(scores={an_id("a"): 1.0}, own=1, others=12))

    assert "given feedback yet, so 12 ratings from other roles were used." in result.summary


def test_without_neighbours_they_weigh_nothing_and_the_summary_says_so() -> None:
    result = blend(credential("a"))

    assert result.weights["neighbours"] == 0
    assert "No earlier learner" in result.summary


def test_a_role_without_targets_says_so() -> None:
    result = blend(credential("a"), gaps=[])

    assert result.items == ()
    assert "no skill targets" in result.summary


def test_an_empty_catalogue_says_so() -> None:
    result = blend()

    assert result.items == ()
    assert "The catalogue has no credential for this" in result.summary


def test_the_rationale_says_which_gap_on_what_evidence() -> None:
    crowd = ((neighbour("n", a="5"), 1.0), (neighbour("m", a="4"), 1.0))

    assert blend(credential("a"), similarity={"a": 0.62}, neighbours=crowd).items[0].rationale == (
        "You scored 30 % in SQL querying; the role asks for 80 %. "
        "This foundation course covers it (catalogue match 0.62). "
        "2 learners with a profile like yours rated it 4.5 of 5 on average."
    )


def test_the_rating_of_one_learner_is_no_average() -> None:
    [item] = blend(credential("a"), neighbours=((neighbour("n", a="5"), 1.0),)).items

    assert item.rationale.endswith("1 learner with a profile like yours rated it 5 of 5.")


def test_an_untested_skill_is_named_as_such() -> None:
    result = blend(credential("a"), gaps=[gap(score=None)])

    assert "No answer showed your level in SQL querying yet; the role asks for 80 %." in result.items[0].rationale
    assert "SQL querying (not shown yet, the role asks for 80 %)" in result.summary


def test_a_score_that_rounds_to_its_target_is_shown_with_more_digits() -> None:
    result = blend(credential("a"), gaps=[gap(score="0.7999")])

    assert "You scored 79.99 % in SQL querying; the role asks for 80.00 %." in result.items[0].rationale


def test_every_number_of_the_summary_is_in_the_data() -> None:
    result = blend(
        credential("a"), gaps=[gap(SQL, "0.31"), gap(CLEANING, "0.8")], neighbours=((neighbour("n", a="4"), 1.0),)
    )

    assert re.findall(r"\d+(?:\.\d+)?", result.summary) == ["1", "2", "31", "80", "1", "1"]


def test_a_step_that_was_not_found_has_the_evidence_of_what_it_opens() -> None:
    result = blend(needing("c", "b"), needing("b", "a"), credential("a", CHARTS), found=["c"])

    assert [item.evidence for item in result.items] == [(an_id("c"),)] * 3
    assert result.items[0].rationale == "This foundation course is required for C, so take it first."


def test_a_found_credential_is_its_own_evidence() -> None:
    result = blend(needing("b", "a"), credential("a"))

    assert [item.evidence for item in result.items] == [(an_id("a"),), (an_id("b"),)]


def test_the_summary_names_gaps_without_a_credential_in_the_catalogue() -> None:
    result = blend(credential("a", SQL), gaps=[gap(SQL), gap(CHARTS)])

    assert "The catalogue has no course for Data visualisation that you can start now." in result.summary


def test_the_summary_names_gaps_that_the_list_does_not_cover() -> None:
    result = blend(
        *(credential(name, SQL) for name in "abcde"),
        credential("z", CHARTS),
        gaps=[gap(SQL, "0"), gap(CHARTS, "0.79")],
        similarity=dict.fromkeys("abcde", 0.9) | {"z": 0.1},
    )

    assert "Z" not in titles(result)
    assert "Not covered by this list yet: Data visualisation." in result.summary


def test_the_rationale_names_only_the_skills_that_the_course_takes_further() -> None:
    offered = credential("a", SQL, CLEANING, level=INTERMEDIATE)

    result = blend(offered, gaps=[gap(SQL, "0.9"), gap(CLEANING, "0.3", target="0.2")])

    assert "Data cleaning" in result.items[0].rationale
    assert "SQL querying" not in result.items[0].rationale


def test_a_calibrated_confidence_names_the_number_of_reactions() -> None:
    calibration = Calibration(shift=1.0, slope=1.0, reactions=40)

    plain, calibrated = blend(credential("a")), blend(credential("a"), calibration=calibration)

    assert (plain.confidence_basis, calibrated.confidence_basis) == ("uncalibrated", "calibrated on 40 reactions")
    assert calibrated.items[0].confidence > plain.items[0].confidence
    assert "rough estimate" in plain.summary
    assert "from 40 reactions" in calibrated.summary


@given(learners())
def test_the_summary_agrees_with_the_list(learner: tuple[list[SkillGap], list[Credential], list[str]]) -> None:
    gaps, offered, found = learner
    by_id = {each.id: each for each in offered}

    result = blend(*offered, gaps=gaps, found=found)

    taught = {skill for item in result.items for skill in by_id[item.credential_id].skills}
    missing = [each.skill for each in gaps if each.gap]
    unnamed = sentence(result, "Not covered by this list yet: ") + sentence(result, "The catalogue has no course for ")
    if result.items:
        assert f"We recommend {len(result.items)} credential" in result.summary
        assert f"Start with {result.items[0].title}." in result.summary
        assert {skill for skill in missing if skill not in taught} == {skill for skill in SKILLS if skill in unnamed}
    assert "weightiest" not in result.summary
