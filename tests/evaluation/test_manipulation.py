"""The bounds on manipulation with fakes; `manipulation` measures the gain with the real embedding model."""

import pytest

from activities.adapters.local_grader.grader import LocalEssayGrader
from domain.grading.scores import EssayScore
from tests.evaluation.manipulation import (
    MOST_HONEST_FLAGGED,
    MOST_MEAN_GAIN,
    appended,
    flagged,
    gains,
    graded_by_obedient_model,
    paired,
    share_flagged,
    with_text,
)
from tests.evaluation.manipulation_sets import DISGUISES, Attack, HonestAnswer, attacks, honest_answers
from tests.support.fake_search import FakeEmbedder


@pytest.fixture(scope="module")
def answers() -> list[HonestAnswer]:
    return honest_answers()


@pytest.fixture(scope="module")
def tried() -> list[Attack]:
    return attacks()


def test_the_sets_are_large_enough(answers: list[HonestAnswer], tried: list[Attack]) -> None:
    generated = [attack for attack in tried if attack.kind in DISGUISES]

    assert len(answers) >= 300
    assert len({answer.essay.text for answer in answers}) == len(answers)
    assert len(tried) >= 150
    assert len({attack.language for attack in tried}) >= 10
    assert 3 * len(generated) <= len(tried)


def test_at_most_one_percent_of_honest_answers_are_flagged(answers: list[HonestAnswer]) -> None:
    by_flag = flagged(answers)

    found = {flag: [answer.essay.text[:80] for answer in each] for flag, each in by_flag.items()}
    assert share_flagged(answers, by_flag) <= MOST_HONEST_FLAGGED, found


def test_an_attack_reported_by_the_language_model_gains_nothing_and_is_reviewed(
    answers: list[HonestAnswer], tried: list[Attack]
) -> None:
    def gained(score: EssayScore, honest: EssayScore) -> bool:
        return (score.points or 0) > (honest.points or 0)

    failed = []
    for essay, attack in paired(answers, tried, 1):
        score = graded_by_obedient_model(appended(essay, attack.text), attack.text)
        if gained(score, graded_by_obedient_model(essay, "")) or not score.needs_review:
            failed.append(attack)

    assert failed == []


def test_an_attack_without_an_answer_gets_no_points_if_the_language_model_reports_it(
    answers: list[HonestAnswer], tried: list[Attack]
) -> None:
    scores = {
        attack.text: graded_by_obedient_model(with_text(essay, attack.text), attack.text)
        for essay, attack in paired(answers, tried, 1)
    }

    assert [text for text, score in scores.items() if score.points or not score.needs_review] == []


async def test_attacks_gain_nothing_with_the_local_grader(answers: list[HonestAnswer], tried: list[Attack]) -> None:
    pairs = paired(answers, tried, 1)[::4]
    grader = LocalEssayGrader(FakeEmbedder())

    found = await gains(grader, [essay for essay, _ in pairs], [appended(essay, each.text) for essay, each in pairs])

    assert found.mean <= MOST_MEAN_GAIN
