"""The rules for names of people and cohorts, and for external ids."""

import pytest

from domain.people import check_external_id, normalize_name


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("  Ada \t Lovelace\n", "Ada Lovelace"),
        ("Ame\u0301lie", "Am\u00e9lie"),
        ("王伟", "王伟"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("O'Brien-Smith, Jr.", "O'Brien-Smith, Jr."),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_name_is_stored_in_its_normal_form(given: str, stored: str) -> None:
    assert normalize_name(given) == stored


@pytest.mark.parametrize(
    "name",
    ["", " ", "\u200b", "\u0301", "x" * 201, "a\0b", "a\x1bb", "a\u202eb", "a\u2066b", "\u0958" * 101],
    ids=ascii,
)
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must"):
        normalize_name(name)


@pytest.mark.parametrize("external_id", ["0", "A-1", "urn:lms:7", "Ünïcode 7", "x" * 200])
def test_an_external_id_is_stored_unchanged(external_id: str) -> None:
    assert check_external_id(external_id) == external_id


@pytest.mark.parametrize(
    "external_id", ["", " ", " a", "a ", "a\n", "a\0", "a\u00a0b", "a\u200bb", "x" * 201, "\u0301"], ids=ascii
)
def test_an_external_id_that_is_not_printable_is_refused(external_id: str) -> None:
    with pytest.raises(ValueError, match="must"):
        check_external_id(external_id)
