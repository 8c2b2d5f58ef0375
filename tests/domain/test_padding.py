"""Passages of an essay that do not deal with its question."""

import random

import pytest

from domain.grading.padding import without_padding

TOPIC = [f"topic{number}" for number in range(60)]
OTHER = " ".join(f"other{number}" for number in range(150))


def about_the_topic(seed: int, words: int = 200) -> str:
    """Return a text that takes about three quarters of its words from the topic."""
    dice = random.Random(seed)
    return " ".join(f"own{seed}.{place}" if dice.random() < 0.25 else dice.choice(TOPIC) for place in range(words))


LABELLED = [about_the_topic(seed) for seed in range(8)]
OWN = about_the_topic(100)


@pytest.mark.parametrize("words", [0, 50, 200, 400])
def test_a_text_with_the_words_of_the_labelled_answers_stays_whole(words: int) -> None:
    text = about_the_topic(200, words)

    assert without_padding(text, LABELLED) == text


@pytest.mark.parametrize("text", ["{own}\n\n{other}", "{other} {own}", "{own} {other} {own}", "{other} {own} {other}"])
def test_a_passage_about_something_else_is_removed_wherever_it_is(text: str) -> None:
    whole = text.format(own=OWN, other=OTHER)

    left = without_padding(whole, LABELLED)

    assert "other" not in left
    assert left.count("topic") > 0.9 * whole.count("topic")


def test_a_short_passage_stays() -> None:
    text = f"{OWN} {' '.join(OTHER.split()[:10])}"

    assert without_padding(text, LABELLED) == text


def test_a_text_that_is_shorter_than_the_usual_labelled_answer_stays() -> None:
    assert without_padding(OTHER, LABELLED) == OTHER


@pytest.mark.parametrize("labelled", [[], ["One answer."], ["One answer.", "Another answer."], ["", "", "?"]])
def test_a_few_labelled_answers_prove_nothing(labelled: list[str]) -> None:
    assert without_padding(OTHER, labelled) == OTHER


def test_upper_case_and_compatibility_letters_are_the_same_words() -> None:
    text = "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in OWN.upper())

    assert without_padding(text, LABELLED) == text
