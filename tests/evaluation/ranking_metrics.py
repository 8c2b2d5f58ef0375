"""Measure ranked lists, with bootstrap intervals."""

import math
import random
from collections.abc import Collection, Sequence
from statistics import fmean
from typing import Final, NamedTuple

CUT: Final = 10
"""Only this many first places count."""
RESAMPLES: Final = 1_000
SEED: Final = 20_240_601


class Estimate(NamedTuple):
    """A mean and the interval with 95 % of the resampled means."""

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
    if not values:
        return Estimate(math.nan, math.nan, math.nan)
    chance = random.Random(SEED)  # resampling, no secret
    means = sorted(fmean(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Estimate(fmean(values), means[round(0.025 * (RESAMPLES - 1))], means[round(0.975 * (RESAMPLES - 1))])


def calibration_error(pairs: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Return the expected calibration error of (probability, outcome) pairs over bins of equal width."""
    placed: dict[int, list[tuple[float, bool]]] = {}
    for chance, outcome in pairs:
        placed.setdefault(min(bins - 1, int(chance * bins)), []).append((chance, outcome))
    apart = [abs(math.fsum(chance - outcome for chance, outcome in each)) for each in placed.values()]
    return math.fsum(apart) / len(pairs) if pairs else math.nan
