"""Measure ranked lists, with bootstrap intervals."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

CUT: Final = 10
"""Only this many first places count."""
RESAMPLES: Final = 1_000
SEED: Final = 20_240_601


class Estimate(NamedTuple):
    """A figure and the interval with 95 % of the resampled figures."""

    value: float
    low: float
    high: float


def ndcg(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Return the normalized discounted cumulative gain (0..1) of the first ten."""
    gains = [1 / math.log2(place + 2) for place in range(CUT)]
    found = math.fsum(gain for gain, each in zip(gains, ranked, strict=False) if each in relevant)
    return found / math.fsum(gains[: len(relevant)])


def recall(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Return the share of the relevant ones that are among the first ten."""
    return len({*ranked[:CUT]} & {*relevant}) / len(relevant)


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate the mean by a bootstrap over the cases with a fixed seed; NaN without cases."""
    seen = np.asarray(values, dtype=float)
    return bootstrap(len(seen), lambda chosen: float(seen[chosen].mean()))


def calibration_error(pairs: Sequence[tuple[float, bool]], bins: int = 10) -> Estimate:
    """Return the expected calibration error of (probability, outcome) pairs over bins of equal width."""
    chances = np.asarray([chance for chance, _ in pairs], dtype=float)
    apart = chances - np.asarray([outcome for _, outcome in pairs], dtype=float)
    places = np.minimum(bins - 1, chances * bins).astype(int)

    def error(chosen: NDArray[np.intp]) -> float:
        return float(np.abs(np.bincount(places[chosen], weights=apart[chosen])).sum() / len(chosen))

    return bootstrap(len(pairs), error)


def bootstrap(cases: int, statistic: Callable[[NDArray[np.intp]], float]) -> Estimate:
    """Return the statistic of all cases, given by their indexes, and its interval over resampled cases."""
    if not cases:
        return Estimate(math.nan, math.nan, math.nan)
    chance = np.random.default_rng(SEED)
    resampled = sorted(statistic(chance.integers(cases, size=cases)) for _ in range(RESAMPLES))
    low, high = (resampled[round(share * (RESAMPLES - 1))] for share in (0.025, 0.975))
    return Estimate(statistic(np.arange(cases)), low, high)
