"""How well a grader agrees with the people who reviewed its grades, and whether its stated confidence is right.

Levels are indices from 0 on the scale of their criterion. Every figure is deterministic.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, quantiles
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

RESAMPLES: Final = 1_000
SEED: Final = 20_260_101
BINS: Final = 10


class Sample(StrEnum):
    """Why a person looked at a grade.

    `doubted`: the grade was marked for review. `audit_sample`: the review queue's sample of confident grades, so that
    only this sample says how good the grades are that are not reviewed. `appealed`: its student appealed. `other`: a
    reviewer opened it for another reason, which may be that the grade looked wrong.
    """

    DOUBTED = "doubted"
    AUDIT = "audit_sample"
    APPEALED = "appealed"
    OTHER = "other"


def sample_of(*, doubted: bool, audited: bool, appealed: bool) -> Sample:
    """Return the sample of an answer from its first review.

    `doubted`: the grade was marked for review at that time. `audited`: the essay was in the queue's audit sample.
    `appealed`: the review answered an appeal.
    """
    if appealed:
        return Sample.APPEALED
    if doubted:
        return Sample.DOUBTED
    return Sample.AUDIT if audited else Sample.OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A criterion of a question with the names of its levels, lowest first. Other names are another scale."""

    question_id: UUID
    criterion: str
    levels: tuple[str, ...]


class Pair(NamedTuple):
    """The grader's level, the reviewer's level, and the confidence (0..1) that the grader stated."""

    graded: int
    reviewed: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedAnswer:
    """A reviewed answer of an assessment. `pairs` is empty if the grader abstained."""

    assessment_id: UUID
    sample: Sample
    pairs: Mapping[Scale, Pair]


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Agreement on a number of levels. `exact` and `adjacent` (at most one level apart) are shares (0..1).

    `quadratic_kappa` is None if it is not defined.
    """

    levels: int
    exact: float | None
    adjacent: float | None
    quadratic_kappa: Estimate | None


class Bin(NamedTuple):
    """The levels with a confidence from `low` to `high`: number, mean confidence, and share that was confirmed."""

    low: float
    high: float
    levels: int
    confidence: float
    confirmed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The agreement on `answers`, of which the grader abstained from `abstained`.

    `calibration_error` is the mean distance between confidence and confirmed share, weighted by levels (expected
    calibration error; Naeini, Cooper and Hauskrecht 2015).
    """

    answers: int
    abstained: int
    overall: Figures
    criteria: Mapping[Scale, Figures]
    calibration: tuple[Bin, ...]
    calibration_error: float | None


Cell: TypeAlias = tuple[int, int]
_NO_CELL: Final = -1


def agreement(answers: Sequence[ReviewedAnswer]) -> Agreement:
    """Compute the agreement overall and for each criterion.

    The overall kappa is the mean of the criteria's kappas, weighted by their levels. One table of all criteria would
    count the differences between the criteria as agreement.
    """
    pairs: dict[Scale, list[Pair]] = defaultdict(list)
    for answer in answers:
        for scale, pair in answer.pairs.items():
            pairs[scale].append(pair)
    every_pair = [pair for found in pairs.values() for pair in found]
    kappas, overall = _kappas(answers)
    bins = calibration(every_pair)
    return Agreement(
        answers=len(answers),
        abstained=sum(not answer.pairs for answer in answers),
        overall=_figures(every_pair, overall),
        criteria={scale: _figures(found, kappas[scale]) for scale, found in pairs.items()},
        calibration=bins,
        calibration_error=calibration_error(bins),
    )


def quadratic_kappa(table: Mapping[Cell, int]) -> float | None:
    """Return Cohen's kappa with quadratic weights of the counts by (grader's level, reviewer's level).

    Cohen 1968, "Weighted kappa". With the weight (a - b)², the disagreement expected by chance is
    E[A²] - 2 E[A] E[B] + E[B²], so that the sums below suffice. None if only one level occurs.
    """
    total = a1 = b1 = a2 = b2 = observed = 0
    for (a, b), count in table.items():
        total += count
        a1 += count * a
        b1 += count * b
        a2 += count * a * a
        b2 += count * b * b
        observed += count * (a - b) ** 2
    expected = total * a2 - 2 * a1 * b1 + total * b2
    return 1 - total * observed / expected if expected else None


def calibration(pairs: Iterable[Pair]) -> tuple[Bin, ...]:
    """Sort the levels into BINS equal bins of confidence. Empty bins are left out."""
    bins: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        bins[min(BINS - 1, int(round(pair.confidence * BINS, 6)))].append(pair)
    return tuple(
        Bin(
            low=place / BINS,
            high=(place + 1) / BINS,
            levels=len(found),
            confidence=fmean(pair.confidence for pair in found),
            confirmed=fmean(pair.graded == pair.reviewed for pair in found),
        )
        for place, found in sorted(bins.items())
    )


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the expected calibration error, or None without levels."""
    levels = sum(each.levels for each in bins)
    return sum(each.levels * abs(each.confidence - each.confirmed) for each in bins) / levels if levels else None


def _figures(pairs: Sequence[Pair], kappa: Estimate | None) -> Figures:
    def within(levels: int) -> float | None:
        return fmean(abs(pair.graded - pair.reviewed) <= levels for pair in pairs) if pairs else None

    return Figures(levels=len(pairs), exact=within(0), adjacent=within(1), quadratic_kappa=kappa)


def _kappas(answers: Sequence[ReviewedAnswer]) -> tuple[dict[Scale, Estimate | None], Estimate | None]:
    """Return the kappa of each scale and the overall kappa, with percentile intervals of a bootstrap.

    Whole assessments are resampled, because the levels of one student are not independent (Efron and Tibshirani 1993,
    "An Introduction to the Bootstrap", chapters 8 and 13).
    """
    assessments: dict[UUID, dict[Scale, int]] = defaultdict(dict)
    for answer in answers:
        cells = {scale: pair.graded * len(scale.levels) + pair.reviewed for scale, pair in answer.pairs.items()}
        assessments[answer.assessment_id] |= cells
    scales = dict.fromkeys(scale for cells in assessments.values() for scale in cells)
    columns = {scale: [cells.get(scale, _NO_CELL) for cells in assessments.values()] for scale in scales}
    dice, everyone = random.Random(SEED), range(len(assessments))  # noqa: S311  # the same interval every time
    found = [_weighted(columns, everyone)]
    if scales:
        found += [_weighted(columns, dice.choices(everyone, k=len(everyone))) for _ in range(RESAMPLES)]
    by_scale = {scale: _estimate([each[0][scale] for each in found]) for scale in scales}
    return by_scale, _estimate([each[1] for each in found])


def _weighted(
    columns: Mapping[Scale, Sequence[int]], places: Sequence[int]
) -> tuple[dict[Scale, float | None], float | None]:
    """Return the kappa of each scale, and their mean weighted by levels, in the assessments at `places`.

    A cell is one integer in `columns`, because counting pairs takes five times as long.
    """
    kappas: dict[Scale, float | None] = {}
    total = levels = 0.0
    for scale, cells in columns.items():
        counted = Counter(map(cells.__getitem__, places))
        table = {divmod(cell, len(scale.levels)): count for cell, count in counted.items() if cell != _NO_CELL}
        kappas[scale] = kappa = quadratic_kappa(table)
        if kappa is not None:
            number = sum(table.values())
            total, levels = total + number * kappa, levels + number
    return kappas, total / levels if levels else None


def _estimate(values: Sequence[float | None]) -> Estimate | None:
    """Return the first value with the 2.5 % and 97.5 % quantiles of the others. Resamples without a value are left out.

    The quantiles are those of R's type 7.
    """
    value, resampled = values[0], [each for each in values[1:] if each is not None]
    if value is None:
        return None
    if len(resampled) < 2:  # noqa: PLR2004  # `quantiles` needs two values
        return Estimate(value, value, value)
    cuts = quantiles(resampled, n=40, method="inclusive")
    return Estimate(value, cuts[0], cuts[-1])
