"""Masking a log line takes time in proportion to its length, whatever it holds."""

from tests.support.growth import slow_cases
from workflows.telemetry.masking import masked


def test_time_grows_with_the_length_of_the_line() -> None:
    assert slow_cases(masked) == []
