"""Names and addresses do not reach a language model with another student's answer."""

import pytest

from domain.grading.name_masking import mask_author
from tests.support.growth import slow_cases

EMAIL = "a.lovelace3@example.org"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("I am Ada Lovelace, and ADA fixed it.", "I am [name] [name], and [name] fixed it."),
        ("Ada's join, lovelace's query", "[name]'s join, [name]'s query"),
        ("Write to ada@work.example.com or b+c@example.org.", "Write to [e-mail] or [e-mail]."),
        ("An adapter adapts the data.", "An adapter adapts the data."),
        ("Lo\u200bvelace signs.", "[name] signs."),
        ("A. counts the rows.", "A. counts the rows."),
    ],
)
def test_the_author_and_every_address_are_masked(text: str, masked: str) -> None:
    assert mask_author(text, name="Ada Lovelace", email=EMAIL) == masked


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("José", "jose says so"),
        ("Jose", "JOSÉ says so"),
        ("Jose\u0301", "José says so"),
        ("王小明", "我叫王小明。"),
        ("Анна", "АННА отвечает"),
    ],
)
def test_accents_case_and_script_do_not_hide_a_name(name: str, text: str) -> None:
    masked = mask_author(text, name=name, email=EMAIL)

    assert masked.count("[name]") == 1
    assert name not in masked


@pytest.mark.parametrize(
    ("name", "text", "masked"),
    [
        ("कृष्ण शर्मा", "मेरा नाम कृष्ण शर्मा है।", "मेरा नाम [name] [name] है।"),
        ("ปิยะ", "ผมชื่อปิยะครับ", "ผมชื่อ[name]ครับ"),
        ("محمد", "اسمي مُحَمَّد.", "اسمي [name]."),
    ],
)
def test_vowel_marks_do_not_divide_a_name(name: str, text: str, masked: str) -> None:
    assert mask_author(text, name=name, email=EMAIL) == masked


@pytest.mark.parametrize("name", ["小明 王小明", "王小明 小明"])
def test_a_name_that_contains_another_one_is_masked_as_a_whole(name: str) -> None:
    assert mask_author("我叫王小明。", name=name, email=EMAIL) == "我叫[name]。"


def test_without_a_name_the_words_of_the_address_are_masked() -> None:
    assert mask_author("Lovelace, a 3rd time", name=None, email=EMAIL) == "[name], a 3rd time"


def test_time_grows_with_the_length_of_the_text() -> None:
    assert slow_cases(lambda text: mask_author(text, name="Ada 王小明", email=EMAIL)) == []
