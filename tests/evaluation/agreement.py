"""How far a grader agrees with people: Cohen's kappa with bootstrap intervals, and whether its confidence is true.

Kappa is computed on tables of counts, all resamples at once: scikit-learn's function, one call a table, would take
minutes. The tests hold the two equal.
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

RESAMPLES: Final = 1_000
SEED: Final = 20_250_722
BINS: Final = 10
SUREST: Final = 0.7
"""The share of answers that a grader is surest of."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer of an item, graded in one trial. Levels are indices from 0, one a criterion.

    `given` and `confidences` are empty where the grader abstained. `confidence` (0..1) is that of the whole answer.
    """

    item: str
    trial: int
    answer: int
    true: tuple[int, ...]
    given: tuple[int, ...]
    confidences: tuple[float, ...]
    confidence: float
    to_review: bool
    latency_ms: int = 0
    cost_cents: Decimal | None = Decimal(0)


class Estimate(NamedTuple):
    """A figure and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


class Bin(NamedTuple):
    """The levels given with a confidence from `low` to `high`: how many, how sure on average, and the share right."""

    low: float
    high: float
    levels: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of a grader on some items. Shares are 0..1; those of answers count every trial.

    Kappas are means over the items, and in each over its trials. `rest` are the answers that no person is asked to
    look at, `surest` the SUREST share of each trial's answers. `cost_cents` is what is known of it.
    """

    answers: int
    abstained: float
    kappa: Estimate
    quadratic_kappa: Estimate
    exact: float
    adjacent: float
    to_review: float
    rest_kappa: Estimate
    rest_exact: float
    surest_kappa: Estimate
    surest_exact: float
    calibration_error: float
    latency_ms_p50: float
    latency_ms_p95: float
    cost_cents: Decimal
    cost_complete: bool


def figures(judged: Sequence[Judged]) -> Figures:
    """All figures of at least one graded answer; equal input gives equal figures."""
    graded = [each for each in judged if each.given]
    rest = [each for each in graded if not each.to_review]
    surest = [each for trial in _by(judged, lambda each: (each.item, each.trial)).values() for each in _surest(trial)]
    latencies = [each.latency_ms for each in judged]
    costs = [each.cost_cents for each in judged]
    return Figures(
        answers=len(judged),
        abstained=1 - len(graded) / len(judged),
        kappa=kappa(graded),
        quadratic_kappa=kappa(graded, quadratic=True),
        exact=within(graded, 0),
        adjacent=within(graded, 1),
        to_review=sum(each.to_review for each in judged) / len(judged),
        rest_kappa=kappa(rest),
        rest_exact=within(rest, 0),
        surest_kappa=kappa(surest),
        surest_exact=within(surest, 0),
        calibration_error=calibration_error(calibration(graded)),
        latency_ms_p50=float(np.percentile(latencies, 50)),
        latency_ms_p95=float(np.percentile(latencies, 95)),
        cost_cents=sum((cost for cost in costs if cost is not None), Decimal(0)),
        cost_complete=None not in costs,
    )


def kappa(graded: Iterable[Judged], *, quadratic: bool = False) -> Estimate:
    """The mean over items of the mean over their trials.

    Resampled are the answers of each item, with all their trials and criteria; items stay. Where people and grader
    use one and the same level only, kappa is not defined and the trial does not count.
    """
    items = _by(graded, lambda each: each.item)
    values = [_item_kappas(item, quadratic=quadratic) for item in items.values()]
    found = _mean(values) if values else np.full(1 + RESAMPLES, np.nan)
    resampled = found[1:][~np.isnan(found[1:])]
    low, high = np.percentile(resampled, [2.5, 97.5]) if resampled.size else (np.nan, np.nan)
    return Estimate(float(found[0]), float(low), float(high))


def kappas(tables: Matrix, *, quadratic: bool) -> Matrix:
    """Cohen's kappa for each table of counts (the last two axes: people, grader); NaN where it is not defined."""
    levels = np.arange(tables.shape[-1])
    apart = (levels[:, None] - levels) ** 2 if quadratic else levels[:, None] != levels
    people, grader = tables.sum(axis=-1), tables.sum(axis=-2)
    by_chance = people[..., :, None] * grader[..., None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (apart * by_chance).sum(axis=(-2, -1)) / tables.sum(axis=(-2, -1))
        return np.asarray(1 - (apart * tables).sum(axis=(-2, -1)) / np.where(expected > 0, expected, np.nan))


def within(graded: Sequence[Judged], levels: int) -> float:
    """The share of levels that are at most so many away from people's; NaN of none."""
    distances = [abs(a - b) for each in graded for a, b in zip(each.true, each.given, strict=True)]
    return sum(distance <= levels for distance in distances) / len(distances) if distances else float("nan")


def calibration(graded: Iterable[Judged]) -> tuple[Bin, ...]:
    """The levels in BINS equal bins of confidence; empty ones are left out."""
    pairs = [
        (sure, true == given)
        for each in graded
        for sure, true, given in zip(each.confidences, each.true, each.given, strict=True)
    ]
    bins = _by(pairs, lambda pair: min(BINS - 1, int(round(pair[0] * BINS, 6))))
    return tuple(
        Bin(
            low=place / BINS,
            high=(place + 1) / BINS,
            levels=len(found),
            confidence=sum(sure for sure, _ in found) / len(found),
            right=sum(right for _, right in found) / len(found),
        )
        for place, found in sorted(bins.items())
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: how far confidence and share of right ones lie apart, on average."""
    levels = sum(each.levels for each in bins)
    return sum(each.levels * abs(each.confidence - each.right) for each in bins) / levels if levels else float("nan")


def _item_kappas(graded: Sequence[Judged], *, quadratic: bool) -> Matrix:
    """An item's kappa on all answers and, from place 1 on, on each resample."""
    places = {answer: place for place, answer in enumerate(sorted({each.answer for each in graded}))}
    weights = _weights(graded[0].item, len(places))
    levels = 1 + max(level for each in graded for level in (*each.true, *each.given))
    trials = _by(graded, lambda each: each.trial).values()
    tables = [
        weights[:, [places[each.answer] for each in trial]] @ np.stack([_table(each, levels) for each in trial])
        for trial in trials
    ]
    return _mean([kappas(each.reshape(-1, levels, levels), quadratic=quadratic) for each in tables])


def _weights(item: str, answers: int) -> Matrix:
    """How often each answer counts: once, then as each resample has it. Items are drawn independently."""
    dice = np.random.default_rng([SEED, zlib.crc32(item.encode())])
    drawn = dice.multinomial(answers, np.full(answers, 1 / answers), size=RESAMPLES)
    return np.vstack([np.ones(answers), drawn])


def _table(judged: Judged, levels: int) -> Matrix:
    places = [true * levels + given for true, given in zip(judged.true, judged.given, strict=True)]
    return np.bincount(places, minlength=levels * levels).astype(np.float64)


def _surest(trial: Sequence[Judged]) -> list[Judged]:
    """The SUREST share of a trial's answers; abstentions are the least sure."""
    ranked = sorted((each for each in trial if each.given), key=lambda each: -each.confidence)
    return ranked[: round(SUREST * len(trial))]


def _mean(values: Sequence[Matrix]) -> Matrix:
    """By column, of what is defined."""
    stacked = np.stack(values)
    defined = ~np.isnan(stacked)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, stacked, 0).sum(axis=0) / defined.sum(axis=0))


def _by(values: Iterable[Value], key: Callable[[Value], Key]) -> Mapping[Key, list[Value]]:
    groups: dict[Key, list[Value]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return groups
