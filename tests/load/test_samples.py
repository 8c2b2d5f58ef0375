"""Samples of the first and the last third are compared; each kind of value may grow by a different amount."""

import math

import pytest

from tests.load.samples import Growth, Kind, Sample, growth


def memory(*values: float) -> list[Sample]:
    return [{(Kind.MEMORY, "worker"): value} for value in values]


def test_the_thirds_are_compared_by_their_means() -> None:
    assert growth(memory(90, 110, 500, 500, 500, 120, 140)) == [Growth(Kind.MEMORY, "worker", 100, 130)]


def test_a_value_that_some_samples_lack_counts_as_zero() -> None:
    (found,) = growth([{}, {}, {(Kind.CONNECTIONS, "api"): 4}])

    assert (found.first, found.last, found.ratio) == (0, 4, math.inf)
    assert found.is_too_large


def test_two_samples_are_too_few() -> None:
    with pytest.raises(ValueError, match="too few"):
        growth(memory(1, 2))


@pytest.mark.parametrize(
    ("kind", "last", "too_large"),
    [
        (Kind.MEMORY, 105, False),
        (Kind.MEMORY, 106, True),
        (Kind.FILES, 107, False),
        (Kind.FILES, 108, True),
        (Kind.CONNECTIONS, 107, False),
        (Kind.CONNECTIONS, 108, True),
        (Kind.WAITING, 115, False),
        (Kind.WAITING, 116, True),
    ],
)
def test_each_kind_has_its_limit(kind: Kind, last: float, *, too_large: bool) -> None:
    assert Growth(kind, "worker", 100, last).is_too_large is too_large
