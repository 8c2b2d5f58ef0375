"""Copies of other students' answers, found by their passages."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from domain.assessments.questions import Anchor, Criterion, EssayRubric, Level
from domain.grading.copies import (
    FEWEST_EQUAL,
    FEWEST_WORDS,
    LONG_PASSAGE,
    MOST_SHINGLES,
    PASSAGE,
    OtherAnswer,
    OtherAnswers,
    find_copies,
    fingerprint,
    without_copies,
)

PROMPT = "Explain how you would find out why a report shows fewer sales than the month before."
RUBRIC = EssayRubric(
    criteria=(
        Criterion(
            key="solution",
            name="Solution",
            description="Does the solution work?",
            skills=("Any skill",),
            levels=(
                Level(name="Missing", points=Decimal(0), descriptor="Names no solution."),
                Level(name="Strong", points=Decimal(3), descriptor="Names a solution and its limits."),
            ),
        ),
    )
)


def words(start: int, number: int, sentence: int = 10) -> str:
    """Return distinct words in sentences of ten words."""
    return " ".join(
        f"word{place}{'.' if (place - start) % sentence == sentence - 1 else ''}"
        for place in range(start, start + number)
    )


def other(text: str, number: int = 1) -> OtherAnswer:
    return OtherAnswer(assessment_id=UUID(int=number), snapshot_id=UUID(int=number), text=text)


def shares(text: str, *others: str, common: frozenset[int] = frozenset()) -> list[tuple[int, Decimal]]:
    answers = tuple(other(each, number) for number, each in enumerate(others, 1))
    found = find_copies(text, PROMPT, RUBRIC, OtherAnswers(answers=answers, common=common))
    return [(each.snapshot_id.int, each.share) for each in found]


def test_an_answer_of_its_own_has_no_source() -> None:
    assert shares(words(0, 100), words(1000, 100)) == []


def test_a_copied_half_has_its_source_and_its_share() -> None:
    assert shares(f"{words(0, 60)} {words(1000, 60)}", words(2000, 50), words(1000, 120)) == [(2, Decimal("0.5"))]


def test_case_and_punctuation_do_not_hide_a_copy() -> None:
    assert shares(words(0, 60).upper().replace(".", " –"), words(0, 60)) == [(1, Decimal(1))]


def test_single_changed_words_do_not_hide_a_copy() -> None:
    changed = [f"new{place}" if place % 6 == 5 else word for place, word in enumerate(words(0, 60).split())]

    assert shares(" ".join(changed), words(0, 60)) == [(1, Decimal("0.9833"))]


@pytest.mark.parametrize(("own", "copied", "flagged"), [(1000, LONG_PASSAGE, True), (1000, LONG_PASSAGE - 1, False)])
def test_a_long_passage_is_a_copy_even_in_a_long_answer(own: int, copied: int, *, flagged: bool) -> None:
    assert bool(shares(f"{words(0, own)} {words(5000, copied)}", words(5000, copied))) is flagged


@pytest.mark.parametrize(("own", "flagged"), [(4 * PASSAGE, True), (4 * PASSAGE + 1, False)])
def test_a_short_passage_is_a_copy_from_a_fifth_of_the_answer_on(own: int, *, flagged: bool) -> None:
    assert bool(shares(f"{words(0, own)} {words(500, PASSAGE)}", words(500, PASSAGE))) is flagged


def test_fewer_words_than_a_passage_are_no_copy() -> None:
    assert shares(f"{words(0, 30)} {words(500, PASSAGE - 1)}", words(500, PASSAGE - 1)) == []


@pytest.mark.parametrize("number", [FEWEST_EQUAL, FEWEST_WORDS - 1])
def test_a_short_answer_that_equals_another_is_a_copy(number: int) -> None:
    copy = words(0, number)

    assert shares(copy.upper(), words(500, 40), copy) == [(2, Decimal(1))]
    assert without_copies(copy, PROMPT, RUBRIC, OtherAnswers(answers=(other(copy),))) == ""


@pytest.mark.parametrize(
    ("text", "earlier"),
    [
        (words(0, FEWEST_EQUAL - 1), words(0, FEWEST_EQUAL - 1)),
        (words(0, FEWEST_WORDS - 1), words(0, FEWEST_WORDS)),
        (f"{PROMPT} {words(0, 5)}", f"{PROMPT} {words(0, 5)}"),
    ],
    ids=["of few words", "that is a part of another one", "of which most is the question"],
)
def test_another_short_answer_is_no_copy(text: str, earlier: str) -> None:
    assert shares(text, earlier) == []


def test_passages_of_several_answers_count_together_with_the_largest_share_first() -> None:
    text = f"{words(0, 69)} {words(1000, 15)} {words(2000, 16)}"

    assert shares(text, words(1000, 15), words(2000, 16)) == [(2, Decimal("0.16")), (1, Decimal("0.15"))]


def test_a_quotation_of_the_question_is_no_copy() -> None:
    text = f"{PROMPT} {words(0, 30)}"

    assert shares(text, f"{PROMPT} {words(500, 30)}") == []


def test_the_text_of_the_rubric_is_no_copy() -> None:
    shared = words(500, 40)
    rubric = replace(RUBRIC, anchors=(Anchor(text=shared, levels={"solution": "Strong"}),))
    others = OtherAnswers(answers=(other(shared),))

    assert find_copies(f"{words(0, 30)} {shared}", PROMPT, rubric, others) == ()


def test_a_usual_phrase_is_no_copy() -> None:
    text = f"{words(0, 60)} {words(500, 35)}"
    common = frozenset(fingerprint(words(500, 35), PROMPT, RUBRIC))

    assert shares(text, words(500, 35))
    assert shares(text, words(500, 35), common=common) == []


def test_an_answer_that_many_have_copied_is_a_copy() -> None:
    text = words(0, 60)

    assert shares(text, text, common=frozenset(fingerprint(text, PROMPT, RUBRIC))) == [(1, Decimal(1))]


def test_the_rest_has_the_sentences_that_are_not_copied() -> None:
    own, copied = words(0, 40), words(500, 40)

    rest = without_copies(f"{own} {copied}", PROMPT, RUBRIC, OtherAnswers(answers=(other(copied),)))

    assert rest == own


def test_without_other_answers_the_rest_is_the_whole_text() -> None:
    assert without_copies(words(0, 40), PROMPT, RUBRIC, OtherAnswers()) == words(0, 40)


def test_a_fingerprint_is_bounded_and_leaves_the_question_out() -> None:
    assert len(fingerprint(words(0, 1000), PROMPT, RUBRIC)) == MOST_SHINGLES
    assert fingerprint(PROMPT, PROMPT, RUBRIC) == ()
    assert fingerprint("four words are few", PROMPT, RUBRIC) == ()


def test_a_copied_half_shares_more_shingles_than_the_search_needs() -> None:
    source = fingerprint(words(0, 400), PROMPT, RUBRIC)
    copy = fingerprint(f"{words(1000, 300)} {words(0, 200)}", PROMPT, RUBRIC)

    assert len(set(source) & set(copy)) >= 5


def test_fingerprints_fit_a_signed_column_of_64_bits() -> None:
    shingles = fingerprint(words(0, 300), PROMPT, RUBRIC)

    assert all(-(2**63) <= each < 2**63 for each in shingles)
    assert min(shingles) < 0
