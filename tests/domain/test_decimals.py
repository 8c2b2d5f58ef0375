from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decimals import canonical, is_exact, plain, rounded, to_exact


@pytest.mark.parametrize(
    "text", ["0", "-0", "0E+999999", "999999999999999", "-1E-15", "0.1", "1.500000000000000000000"]
)
def test_numbers_a_double_can_carry_are_exact(text: str) -> None:
    assert is_exact(Decimal(text))


@pytest.mark.parametrize(
    "text", ["NaN", "sNaN", "Infinity", "1E+15", "1E-16", "1234567890123456", "0.1234567890123456", "1E+999999999"]
)
def test_numbers_a_double_cannot_carry_are_not(text: str) -> None:
    assert not is_exact(Decimal(text))


@given(st.decimals(allow_nan=False, allow_infinity=False).filter(is_exact))
def test_an_exact_number_survives_a_double(value: Decimal) -> None:
    assert Decimal(repr(float(value))) == value


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("61.99999999999999", "62"),
        ("33.333333333333336", "33.3333333333333"),
        ("1E-16", "0"),
        ("-0", "0"),
        ("0E+999999999", "0"),
        ("1E-999999999", "0"),
        ("999999999999999", "999999999999999"),
    ],
)
def test_the_nearest_exact_value_has_15_digits(text: str, exact: str) -> None:
    assert str(to_exact(Decimal(text))) == exact


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-Infinity", "1E+15", "999999999999999.9", "1E+999999999"])
def test_values_that_are_too_large_or_not_finite_have_no_exact_value(text: str) -> None:
    assert to_exact(Decimal(text)) is None


@given(st.decimals(allow_nan=False, allow_infinity=False).filter(is_exact))
def test_the_canonical_form_has_the_same_value_and_is_stable(value: Decimal) -> None:
    assert canonical(value) == value
    assert str(canonical(canonical(value))) == str(canonical(value))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("1250.00", "1250"), ("1.25E+3", "1250"), ("-0", "0"), ("0.0500", "0.05"), ("1E-7", "0.0000001")],
)
def test_numbers_are_shown_as_people_write_them(text: str, shown: str) -> None:
    assert plain(Decimal(text)) == shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1/3", "0.3333"), ("2/3", "0.6667"), ("0.00005", "0.0000"), ("0.00015", "0.0002"), ("2", "2.0000")],
)
def test_rounding_is_to_four_places_half_to_even(value: str, expected: str) -> None:
    assert str(rounded(Fraction(value))) == expected
