"""Estimates of the local grader."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import pytest

from activities.adapters.local_grader.feedback import estimate_rationale
from activities.adapters.local_grader.grader import LocalEssayGrader
from activities.adapters.local_grader.text_features import surface_features
from activities.adapters.minilm.embedder import MiniLMEmbedder
from activities.text_analysis import InProcessAnalysis
from domain.assessments.questions import Anchor, EssayRubric
from domain.errors import AnalysisFailed
from domain.grading.rubrics import Essay, check_essay_score, rate
from domain.grading.scores import OTHER_LANGUAGE, DegradedReason, EssayScore
from persistence.content.files import read_content
from tests.activities.adapters.local_grader_builders import (
    BEST,
    FAIR,
    GOOD,
    RUBRIC,
    SCORED,
    WEAK,
    an_essay,
    level,
)
from tests.domain.builders import criterion, essay, levels
from tests.support.fake_search import FakeEmbedder

CONTENT = Path(__file__).parents[3] / "deploy" / "content"


P = ParamSpec("P")
Result = TypeVar("Result")


def timeless(scores: Sequence[EssayScore]) -> list[EssayScore]:
    return [replace(score, latency_ms=0) for score in scores]


async def test_a_labelled_answer_gets_its_own_level(local: LocalEssayGrader) -> None:
    scores = await local.grade([an_essay(text, name=text) for text in (WEAK, FAIR, GOOD, BEST)])

    assert [level(score) for score in scores] == [0, 2, 4, 6]


async def test_an_answer_like_a_good_one_beats_one_like_a_weak_one(local: LocalEssayGrader) -> None:
    good, weak = await local.grade([an_essay(f"{GOOD} Of course.", name="a"), an_essay(f"{WEAK} Of course.", name="b")])

    assert level(good) > level(weak)


async def test_equal_calls_give_equal_scores(local: LocalEssayGrader) -> None:
    essays = [an_essay(GOOD, name="a"), an_essay(FAIR, name="b")]

    first, again = await local.grade(essays), await local.grade(essays)
    fresh = await LocalEssayGrader(FakeEmbedder()).grade(essays)

    assert timeless(first) == timeless(again) == timeless(fresh)


async def test_all_texts_are_embedded_at_once_and_labelled_answers_only_once() -> None:
    embedder = FakeEmbedder()
    local = LocalEssayGrader(embedder)

    for _ in range(2):
        await local.grade([an_essay(GOOD, name="a"), an_essay(FAIR, name="b")])

    references = len(RUBRIC.anchors) + len(SCORED) + 2 * len(RUBRIC.criteria)
    assert embedder.batches == [2 + references, 2]


async def test_the_fits_used_last_are_kept() -> None:
    embedder = FakeEmbedder()
    local = LocalEssayGrader(embedder, fits_kept=1)

    for version in ("v1", "v2", "v2", "v1"):
        await local.grade([an_essay(GOOD, version=version)])

    assert [size > 1 for size in embedder.batches] == [True, True, False, True]


async def test_reviewed_answers_count_from_the_next_essay_on(local: LocalEssayGrader) -> None:
    other = tuple(replace(each, levels={"cause": "Missing", "remedy": "Missing"}) for each in SCORED)

    (before,) = await local.grade([an_essay(BEST)])
    (after,) = await local.grade([an_essay(BEST, labelled=other)])

    assert level(before) == 6
    assert level(after) < 6
    assert before.model != after.model


async def test_a_question_with_too_few_labelled_answers_is_not_graded(local: LocalEssayGrader) -> None:
    rubric = replace(RUBRIC, anchors=RUBRIC.anchors[:2])

    (score,) = await local.grade([an_essay(GOOD, rubric, labelled=SCORED[:1])])

    assert score.points is None


async def test_labelled_answers_all_of_one_level_are_enough_to_say_that_level(local: LocalEssayGrader) -> None:
    same = tuple(replace(each, levels={"cause": "Strong", "remedy": "Strong"}) for each in SCORED)

    (score,) = await local.grade([an_essay(GOOD, essay(), labelled=same)])

    assert level(score) == 6


async def test_rubrics_with_two_levels_work(local: LocalEssayGrader) -> None:
    two = levels(0, 1, names=("Missing", "Strong"))
    scored = tuple(
        Anchor(text=text, levels={"cause": name})
        for name, texts in {"Missing": (WEAK, f"{WEAK} So."), "Strong": (GOOD, BEST)}.items()
        for text in texts
    )
    rubric = EssayRubric(criteria=(criterion("cause", levels=two),))

    (score,) = await local.grade([an_essay(BEST, rubric, labelled=scored)])

    assert score.fraction == 1


@pytest.mark.parametrize(("target", "needs_review"), [(0.0, False), (1.0, True)])
async def test_an_essay_needs_a_review_if_its_expected_error_exceeds_the_organizations_target(
    local: LocalEssayGrader, target: float, *, needs_review: bool
) -> None:
    scores = await local.grade([an_essay(text, name=text, review_target_kappa=target) for text in (WEAK, GOOD, BEST)])

    assert {score.needs_review for score in scores} == {needs_review}


async def test_less_similarity_to_labelled_answers_means_less_confidence(local: LocalEssayGrader) -> None:
    known, unlike = await local.grade(
        [an_essay(FAIR, name="a"), an_essay(f"{FAIR} Otters, kites, marble, violins, sleet, ferns, chalk.", name="b")]
    )

    assert unlike.confidence < known.confidence


async def test_another_rubric_makes_another_model_name(local: LocalEssayGrader) -> None:
    one, other = await local.grade([an_essay(GOOD), an_essay(GOOD, name="b", version="v2")])

    assert one.model != other.model


async def test_the_feedback_gives_the_share_and_what_the_next_level_asks_for(local: LocalEssayGrader) -> None:
    (score,) = await local.grade([an_essay(FAIR)])

    assert score.feedback.splitlines() == [
        "Automatic estimate: 20 % of the points. It comes from a comparison with example answers.",
        "Finds the cause: 25 %. The next level asks for this: Proficient work",
        "Finds the remedy: 17 %. The next level asks for this: Proficient work",
    ]


@pytest.mark.parametrize("text", [WEAK, FAIR, GOOD, BEST])
async def test_the_feedback_never_uses_the_descriptor_of_the_estimated_level(
    local: LocalEssayGrader, text: str
) -> None:
    (score,) = await local.grade([an_essay(text)])

    assert not [rating for rating in score.ratings if f"{rating.level} work" in score.feedback]


async def test_the_feedback_says_why_a_reviewer_will_check_the_answer(local: LocalEssayGrader) -> None:
    (score,) = await local.grade([an_essay(" ".join([FAIR] * 40))])

    assert "A reviewer will check this answer because it repeats itself." in score.feedback


async def test_the_rationale_names_the_closest_answer_where_it_has_the_same_level(local: LocalEssayGrader) -> None:
    (score,) = await local.grade([an_essay(FAIR)])

    assert score.ratings[0].rationale == (
        "Estimated by comparing wording, meaning and length with 12 labelled answers to this question. "
        "The closest of them has the same level (similarity 100 %)."
    )


@pytest.mark.parametrize(
    ("similarity", "supports", "expected"),
    [
        (0.85, True, " The closest of them has the same level (similarity 85 %)."),
        (0.85, False, ""),
        (0.6, True, ""),
        (0.13, False, " None of them is similar to this answer, so the estimate is uncertain."),
        (0.13, True, " None of them is similar to this answer, so the estimate is uncertain."),
    ],
)
def test_the_rationale_mentions_the_closest_answer_only_where_it_explains_the_level(
    similarity: float, *, supports: bool, expected: str
) -> None:
    basis = "Estimated by comparing wording, meaning and length with 8 labelled answers to this question."

    assert estimate_rationale(8, similarity, supports=supports) == basis + expected


@pytest.mark.parametrize(
    "text",
    [
        "Ich zähle die Zahlungszeilen je Bestellung seit dem 3., denn doppelte Zeilen verdoppeln den Umsatz.",
        "Je compte les lignes de paiement par commande, car deux lignes doublent le chiffre d'affaires.",
        "我先统计每个订单的付款行数，因为重复的行会使收入翻倍，然后与过去八周比较。",
        "注文ごとの支払い行を数え、重複した行が売上を二倍にしていないか確認します。",
        "ฉันนับจำนวนแถวการชำระเงินของแต่ละคำสั่งซื้อ แล้วเปรียบเทียบกับแปดสัปดาห์ก่อน",
        "मैं हर ऑर्डर की भुगतान पंक्तियाँ गिनता हूँ और पिछले आठ सप्ताह से तुलना करता हूँ।",
        "أحسب صفوف الدفع لكل طلب ثم أقارن الإيرادات بالأسابيع الثمانية الماضية.",
    ],
    ids=["German", "French", "Chinese", "Japanese", "Thai", "Hindi", "Arabic"],
)
async def test_an_answer_in_another_language_is_left_to_a_reviewer(local: LocalEssayGrader, text: str) -> None:
    (score,) = await local.grade([an_essay(text)])

    check_essay_score(RUBRIC, score)
    assert (score.points, score.confidence, score.needs_review) == (None, Decimal(0), True)
    assert OTHER_LANGUAGE in score.flags
    assert "for answers in English only" in score.feedback


async def test_an_english_answer_with_a_foreign_quotation_is_graded(local: LocalEssayGrader) -> None:
    (score,) = await local.grade([an_essay(f"{GOOD} The ticket says „Der Umsatz ist um 18 % gefallen“.")])

    assert score.points is not None
    assert OTHER_LANGUAGE not in score.flags


@pytest.mark.parametrize("text", ["", "?!", "数据 清洗 很 重要。", "word " * 5000])
def test_surface_features_are_finite_whatever_the_text(text: str) -> None:
    assert all(abs(value) < 100 for value in surface_features(text))


def real_question(key: str) -> tuple[str, EssayRubric]:
    question = next(each.question for each in read_content(CONTENT).questions if each.key == key)
    return question.prompt, cast("EssayRubric", question.rubric)


async def test_the_real_model_tells_an_unseen_strong_answer_from_an_unseen_weak_one(minilm: MiniLMEmbedder) -> None:
    prompt, rubric = real_question("da-essay-revenue-drop")
    ranked = sorted(rubric.anchors, key=lambda each: sum(rate(rubric, each.levels).values()))
    seen = replace(rubric, anchors=tuple(ranked[1:-1]))
    unseen = [
        an_essay(each.text, seen, name=str(place), prompt=prompt, labelled=())
        for place, each in enumerate((ranked[0], ranked[-1]))
    ]

    weak, strong = await LocalEssayGrader(minilm).grade(unseen)

    assert weak.points is not None
    assert strong.points is not None
    assert strong.points > weak.points
    assert weak.flags == strong.flags == ()


async def test_the_real_model_finds_an_answer_to_another_question_of_the_same_role(minilm: MiniLMEmbedder) -> None:
    prompt, rubric = real_question("da-essay-revenue-drop")
    _, other = real_question("da-essay-free-delivery")
    foreign = max(other.anchors, key=lambda each: sum(rate(other, each.levels).values()))

    (score,) = await LocalEssayGrader(minilm).grade([an_essay(foreign.text, rubric, prompt=prompt, labelled=())])

    assert score.needs_review
    assert score.confidence < Decimal("0.5")


class Poisonable(InProcessAnalysis):
    """A TextAnalysis that fails on one essay."""

    def __init__(self, poison: Essay) -> None:
        self.poison = poison

    async def run(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        if self.poison in args:
            raise AnalysisFailed("Stopped")
        return await super().run(function, *args, **kwargs)


async def test_an_essay_whose_text_cannot_be_analysed_is_left_to_a_person_and_the_others_are_graded() -> None:
    essays = [an_essay("First"), an_essay("Second"), an_essay("Third")]
    grader = LocalEssayGrader(FakeEmbedder(), analysis=Poisonable(essays[1]))
    expected = await LocalEssayGrader(FakeEmbedder()).grade(essays)

    scores = await grader.grade(essays)

    assert timeless([scores[0], scores[2]]) == timeless([expected[0], expected[2]])
    assert (scores[1].points, scores[1].needs_review) == (None, True)
    assert scores[1].degraded_reason is DegradedReason.GRADER_FAILED
    check_essay_score(essays[1].rubric, scores[1])
