"""Measure a grader's agreement with people (Cohen's kappa with bootstrap intervals) and its calibration.

Kappa is computed on tables of counts for all resamples at once; scikit-learn's function would take minutes, with one
call per table. The tests compare both.
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
"""The share of answers that count as the surest."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer to an item, graded in one trial. Levels are indices from 0, one per criterion.

    `given` and `confidences` are empty if the grader abstained. `confidence` (0..1) is that of the whole answer.
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
    """A figure and its 95 % interval; NaN if it is not defined."""

    value: float
    low: float
    high: float


class Interval(NamedTuple):
    """A 95 % interval; NaN if it is not defined."""

    low: float
    high: float


class Bin(NamedTuple):
    """The levels with a confidence from `low` to `high`: their number, mean confidence and share of correct ones."""

    low: float
    high: float
    levels: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a grader on some items. Shares are 0..1; shares of answers count every trial.

    A kappa is the mean over the items of the mean over the item's trials. `rest` are the graded answers that need no
    review, `surest` the SUREST share of each trial's answers. `cost_cents` is the sum of the known costs. `intervals`
    has the 95 % interval of each share and of the calibration error, by the field's name.
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
    rest_quadratic: Estimate
    surest_quadratic: Estimate
    intervals: Mapping[str, Interval]


def figures(judged: Sequence[Judged]) -> Figures:
    """Compute all figures of one or more answers. The result is deterministic."""
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
        rest_quadratic=kappa(rest, quadratic=True),
        surest_quadratic=kappa(surest, quadratic=True),
        intervals={
            "abstained": share_interval([(each, float(not each.given), 1.0) for each in judged]),
            "exact": share_interval(_counted(graded, 0)),
            "adjacent": share_interval(_counted(graded, 1)),
            "to_review": share_interval([(each, float(each.to_review), 1.0) for each in judged]),
            "rest_exact": share_interval(_counted(rest, 0)),
            "surest_exact": share_interval(_counted(surest, 0)),
            "calibration_error": calibration_interval(graded),
        },
    )


def kappa(graded: Iterable[Judged], *, quadratic: bool = False) -> Estimate:
    """Return the mean over the items of the mean over their trials.

    The bootstrap resamples the answers of each item with all their trials and criteria; the items stay the same. If
    people and the grader use only one and the same level, kappa is not defined and the trial is ignored.
    """
    items = _by(graded, lambda each: each.item)
    values = [_item_kappas(item, quadratic=quadratic) for item in items.values()]
    found = _mean(values) if values else np.full(1 + RESAMPLES, np.nan)
    resampled = found[1:][~np.isnan(found[1:])]
    low, high = np.percentile(resampled, [2.5, 97.5]) if resampled.size else (np.nan, np.nan)
    return Estimate(float(found[0]), float(low), float(high))


def kappas(tables: Matrix, *, quadratic: bool) -> Matrix:
    """Return Cohen's kappa of each table of counts (last two axes: people, grader); NaN if it is not defined."""
    levels = np.arange(tables.shape[-1])
    apart = (levels[:, None] - levels) ** 2 if quadratic else levels[:, None] != levels
    people, grader = tables.sum(axis=-1), tables.sum(axis=-2)
    by_chance = people[..., :, None] * grader[..., None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (apart * by_chance).sum(axis=(-2, -1)) / tables.sum(axis=(-2, -1))
        return np.asarray(1 - (apart * tables).sum(axis=(-2, -1)) / np.where(expected > 0, expected, np.nan))


def within(graded: Sequence[Judged], levels: int) -> float:
    """Return the share of levels at most `levels` away from people's level, or NaN without answers."""
    distances = [abs(a - b) for each in graded for a, b in zip(each.true, each.given, strict=True)]
    return sum(distance <= levels for distance in distances) / len(distances) if distances else float("nan")


def share_interval(counted: Sequence[tuple[Judged, float, float]]) -> Interval:
    """Return the interval of the sum of numerators divided by the sum of denominators, as for kappa."""
    totals = _resampled([(each, np.array([numerator, denominator])) for each, numerator, denominator in counted])
    with np.errstate(invalid="ignore", divide="ignore"):
        return _interval(totals[:, 0] / totals[:, 1])


def calibration_interval(graded: Sequence[Judged]) -> Interval:
    """Return the interval of the calibration error."""
    rows = []
    for each in graded:
        sums = np.zeros((BINS, 2))
        for sure, true, given in zip(each.confidences, each.true, each.given, strict=True):
            sums[_bin(sure)] += (sure - (true == given), 1)
        rows.append((each, sums.ravel()))
    totals = _resampled(rows).reshape(1 + RESAMPLES, -1, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _interval(np.abs(totals[..., 0]).sum(axis=1) / totals[..., 1].sum(axis=1))


def calibration(graded: Iterable[Judged]) -> tuple[Bin, ...]:
    """Sort the levels into BINS equal bins of confidence. Empty bins are left out."""
    pairs = [
        (sure, true == given)
        for each in graded
        for sure, true, given in zip(each.confidences, each.true, each.given, strict=True)
    ]
    bins = _by(pairs, lambda pair: _bin(pair[0]))
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
    """Return the expected calibration error: the mean distance between confidence and share of correct levels."""
    levels = sum(each.levels for each in bins)
    return sum(each.levels * abs(each.confidence - each.right) for each in bins) / levels if levels else float("nan")


def _bin(confidence: float) -> int:
    return min(BINS - 1, int(round(confidence * BINS, 6)))


def _counted(graded: Sequence[Judged], levels: int) -> list[tuple[Judged, float, float]]:
    """Return each answer with its number of levels within `levels` of people's, and its number of levels."""
    return [
        (each, float(sum(abs(a - b) <= levels for a, b in zip(each.true, each.given, strict=True))), len(each.true))
        for each in graded
    ]


def _resampled(rows: Sequence[tuple[Judged, Matrix]]) -> Matrix:
    """Return the sums of the rows, on all answers and then on each resample of the answers of each item."""
    if not rows:
        return np.full((1 + RESAMPLES, 2), np.nan)
    totals = np.zeros((1 + RESAMPLES, len(rows[0][1])))
    for item, found in _by(rows, lambda row: row[0].item).items():
        answers = [np.sum([row for _, row in each], axis=0) for each in _by(found, lambda row: row[0].answer).values()]
        totals += _weights(item, len(answers)) @ np.stack(answers)
    return totals


def _interval(values: Matrix) -> Interval:
    resampled = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(resampled, [2.5, 97.5]) if resampled.size else (np.nan, np.nan)
    return Interval(float(low), float(high))


def _item_kappas(graded: Sequence[Judged], *, quadratic: bool) -> Matrix:
    """Return an item's kappa: at index 0 on all answers, then on each resample."""
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
    """Return the weight of each answer: 1, then its count in each resample. Items are drawn independently."""
    dice = np.random.default_rng([SEED, zlib.crc32(item.encode())])
    drawn = dice.multinomial(answers, np.full(answers, 1 / answers), size=RESAMPLES)
    return np.vstack([np.ones(answers), drawn])


def _table(judged: Judged, levels: int) -> Matrix:
    places = [true * levels + given for true, given in zip(judged.true, judged.given, strict=True)]
    return np.bincount(places, minlength=levels * levels).astype(np.float64)


def _surest(trial: Sequence[Judged]) -> list[Judged]:
    """Return the SUREST share of a trial's answers. Abstentions are the least sure."""
    ranked = sorted((each for each in trial if each.given), key=lambda each: -each.confidence)
    return ranked[: round(SUREST * len(trial))]


def _mean(values: Sequence[Matrix]) -> Matrix:
    """Return the mean of each column without NaN."""
    stacked = np.stack(values)
    defined = ~np.isnan(stacked)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, stacked, 0).sum(axis=0) / defined.sum(axis=0))


def _by(values: Iterable[Value], key: Callable[[Value], Key]) -> Mapping[Key, list[Value]]:
    groups: dict[Key, list[Value]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return groups
