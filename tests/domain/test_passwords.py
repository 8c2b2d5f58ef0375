"""Password rules and the normal form of passwords."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.passwords import (
    BLANK,
    LIKE_ADDRESS,
    MAX_BYTES,
    REPEATED,
    TOO_SHORT_OR_LONG,
    PasswordTooLong,
    could_fit,
    find_weakness,
    normalize_password,
    spellings,
)

ADDRESS = "ada.lovelace@partner.example"


@pytest.mark.parametrize("password", ["Zoë's café au lait", "각각각각각각각각", "Ǖber-Straße 17", "x" * MAX_BYTES])
def test_composed_and_decomposed_letters_are_one_password(password: str) -> None:
    forms = {normalize_password(unicodedata.normalize(form, password)) for form in ("NFC", "NFD")}
    assert forms == {unicodedata.normalize("NFC", password)}


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000"])
def test_every_kind_of_space_is_one_character(space: str) -> None:
    assert normalize_password(f"correct{space}horse") == "correct horse"


def test_letters_of_other_widths_and_cases_stay_different() -> None:
    assert len({normalize_password(each) for each in ("Correct", "correct", "ｃｏｒｒｅｃｔ", "correct ")}) == 4


def test_the_bound_before_normalization_refuses_nothing_that_fits() -> None:
    composed = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    unfit = [
        char
        for char in composed
        if len((decomposed := unicodedata.normalize("NFD", char)).encode()) > 3
        and not could_fit(decomposed * (MAX_BYTES // len(unicodedata.normalize("NFC", char).encode())))
    ]
    assert unfit == []


@pytest.mark.parametrize("password", ["x" * 73, "é" * 37, "\u0344\u0f73" * 500_000])
def test_a_password_that_is_too_long_is_rejected_before_normalization(password: str) -> None:
    with pytest.raises(PasswordTooLong):
        normalize_password(password)
    assert find_weakness(password, ADDRESS) == TOO_SHORT_OR_LONG


@given(st.text(max_size=100))
def test_normalizing_again_changes_nothing(password: str) -> None:
    for spelled in spellings(password)[:1]:
        try:
            normal = normalize_password(password)
        except PasswordTooLong:
            continue
        assert (normalize_password(normal), spelled) == (normal, normal)


def test_stored_hashes_may_come_from_either_form() -> None:
    composed = unicodedata.normalize("NFC", "Zoë's café au lait")
    decomposed = unicodedata.normalize("NFD", composed)
    assert spellings(composed) == spellings(decomposed) == (composed, decomposed)
    assert spellings("correct horse battery") == ("correct horse battery",)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("x" * 11, TOO_SHORT_OR_LONG),
        (" " * 12, BLANK),
        ("\u3000" * 12, BLANK),
        ("\t" * 12, BLANK),
        ("\u200b" * 12, BLANK),
        ("a" + " " * 20 + "b", BLANK),
        ("secret" + "\u200b" * 6, BLANK),
        ("x" * 12, REPEATED),
        ("abc" * 5, REPEATED),
        (ADDRESS, LIKE_ADDRESS),
        (ADDRESS.upper(), LIKE_ADDRESS),
        (f" {ADDRESS}! ", LIKE_ADDRESS),
        ("ada.lovelace2026", LIKE_ADDRESS),
        ("ada.lovelaceada.lovelace", LIKE_ADDRESS),
        ("lovelace-ada-lovelace", LIKE_ADDRESS),
        ("partner.example", LIKE_ADDRESS),
    ],
)
def test_a_password_that_is_easy_to_guess_is_rejected(password: str, problem: str) -> None:
    assert find_weakness(password, ADDRESS) == problem


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "one two three",
        "Ada likes the difference engine",
        "#!$%&/()=?*'",
        "zwölf Öfen!!",
        "密码密码短语一二三四五六",
        "ขอบคุณครับผม",
    ],
)
def test_a_passphrase_is_accepted(password: str) -> None:
    assert find_weakness(password, ADDRESS) is None


def test_a_short_name_in_the_address_forbids_no_letter() -> None:
    assert find_weakness("a banana a day", "a@b.example") is None
