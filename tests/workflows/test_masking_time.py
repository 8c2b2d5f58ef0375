"""The time to mask a log line grows linearly with its length for any content."""

from tests.support.growth import slow_cases
from workflows.telemetry.masking import masked


def test_time_grows_with_the_length_of_the_line() -> None:
    assert slow_cases(masked) == []
