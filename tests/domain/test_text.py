import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.text import is_blank, normalized_name

BLANK = {
    "nothing": "",
    "spaces": " \t\r\n",
    "a no-break space": "\u00a0",
    "an ideographic space": "\u3000",
    "a zero-width space": "\u200b",
    "a word joiner": "\u2060",
    "a byte order mark": "\ufeff",
    "a soft hyphen": "\u00ad",
    "a Hangul filler": "\u3164",
    "a Hangul choseong filler": "\u115f",
    "a half-width Hangul filler": "\uffa0",
    "a Braille blank": "\u2800",
    "direction marks": "\u202a\u200f\u2069",
    "a variation selector": "\ufe0f",
    "tags": "\U000e0041\U000e007f",
    "combining marks": "\u0301\u0308",
    "a spacing vowel sign": "\u093e",
    "controls": "\x07\x7f",
    "private use": "\ue000",
    "a mixture": " \u200b\u0301\u3164\n",
}


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK.keys())
def test_text_without_a_visible_character_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "?", "0", "é", "e\u0301", "字", "한", "👍", "\u200bx\u200b", "…", "ـ"])
def test_text_with_one_visible_character_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize(
    "alike",
    [
        "Data\u00a0cleaning",
        " Data  cleaning\t",
        "Da\u200bta clean\u00ading\ufeff",
        "Ｄａｔａ cleaning",
        "Data\u3000cleaning",
        "Data cleaning\ufe0f",
    ],
)
def test_names_that_look_alike_have_one_form(alike: str) -> None:
    assert normalized_name(alike) == "Data cleaning"


def test_decomposed_letters_are_composed() -> None:
    assert normalized_name(unicodedata.normalize("NFD", "Añadir café")) == "Añadir café"


def test_letters_are_composed_across_an_invisible_character() -> None:
    assert normalized_name("cafe\u200b\u0301") == "café"


@given(st.text(max_size=60))
def test_normalizing_a_name_again_changes_nothing(name: str) -> None:
    once = normalized_name(name)

    assert normalized_name(once) == once
