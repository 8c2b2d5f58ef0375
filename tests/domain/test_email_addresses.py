"""Normalization of e-mail addresses."""

import pytest

from domain.email_addresses import normalize_email


@pytest.mark.parametrize("address", ["ada@example.org", "Ada@Example.ORG", "ADA@EXAMPLE.ORG"])
def test_case_makes_no_difference(address: str) -> None:
    assert normalize_email(address) == "ada@example.org"


@pytest.mark.parametrize(
    "address",
    [
        "advİsor@example.org",
        "advisor@example.org\u0307",
        "\u212aim@example.org",
        "ſam@example.org",
        "admın@example.org",
        "ａdmin@example.org",
        "admin@exаmple.org",
        "a\0b@example.org",
        "a@example.org\n",
        "",
        "a" * 255,
    ],
    ids=ascii,
)
def test_what_is_not_printable_ascii_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        normalize_email(address)
