"""Estimate a level from similarities to labelled answers: a mixture of Gaussian processes, fitted for each question."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

DESCRIPTOR_SHARE: Final = 0.3
"""The share of the similarity to the descriptors in the similarity of contents; the rest is wording and meaning."""
SURFACE_SHARES: Final = (0.02, 0.2, 0.5, 0.8)
SIGNAL_SHARES: Final = (0.3, 0.6, 0.85, 0.95)
"""The processes of the mixture: the share of the surface features in the similarity, and the share of the levels'
variance that similarity explains; the rest is noise. The labelled answers decide how much each process counts."""
FEWEST_PROCESS: Final = 0.02
"""A process with a lower share of the mixture is dropped, to save memory and time."""
MEAN_VARIANCE: Final = 0.5
"""The prior variance of a question's mean level around the middle of the scale, relative to the variance of levels."""
PRIOR_SPREAD: Final = 0.3
PRIOR_WEIGHT: Final = 3.0
"""The prior standard deviation of levels as a share of the scale, with the weight of 3 answers."""
PRIOR_EXPLAINED: Final = 0.4
EXPLAINED_WEIGHT: Final = 4.0
LEAST_EXPLAINED: Final = 0.1
"""The prior share of the levels' variance that the estimates have, with the weight of 4 answers, and its minimum."""
USUAL_WEIGHT: Final = 4.0
"""The weight, in answers, of normally distributed levels against the counted levels. It is multiplied by
`Priors.kappa_weight`, because the levels of essays are closer to a normal distribution."""
RAREST: Final = 1e-4
"""The lowest share of answers below or above a threshold."""
ERROR_WEIGHT: Final = 8.0
"""The weight, in answers, of the expected errors against the errors that leave-one-out measures."""
RIGHT_WEIGHT: Final = 32.0
"""The weight, in answers, of the mean confidence against the share of right levels that leave-one-out measures."""


class Estimate(NamedTuple):
    """A level by its index from 0, and the probability 0..1 that it is right.

    `error` is the expected squared error of the level, and `chance` that of a level drawn by chance. The expected
    quadratic kappa of some answers is 1 - sum of errors / sum of chances.
    """

    level: int
    confidence: float
    error: float
    chance: float


class Priors(NamedTuple):
    """What the length of the labelled answers says about a question.

    `surface_penalty` lowers the prior of processes by their share of surface features: e to the power of -penalty *
    share. `kappa_weight` is the weight of the quadratic kappa, if the weight of exact agreement is 1. `slope` is the
    expected correlation of the levels with a general score of essays.
    """

    surface_penalty: float = 0.0
    kappa_weight: float = 1.0
    slope: float = 0.0


class Labels(NamedTuple):
    """The levels 0..`top` of n answers. The last `reviewed` ones are students' answers."""

    levels: Matrix
    top: int
    reviewed: int = 0


class Blocks(NamedTuple):
    """Similarities of answers (rows) to the labelled answers by contents, by descriptors and by surface."""

    content: Matrix
    descriptors: Matrix
    surface: Matrix


@dataclass(frozen=True, slots=True)
class _Process:
    """One process of the mixture, with its share.

    `blocks` has the weight of each block of similarities. The mean function adds `slopes`, in levels, times the
    deviations of the general scores.
    """

    share: float
    blocks: Matrix
    slopes: Matrix
    noise: float
    variance: float
    weights: Matrix
    inverse: Matrix


class _Candidate(NamedTuple):
    """The share of the surface features, the weight of each block of similarities, and the noise."""

    surface: float
    blocks: Matrix
    noise: float


class _Trend(NamedTuple):
    """A mean function: levels per unit of each general score, and its values for the labelled answers."""

    slopes: Matrix
    values: Matrix


class _Loo(NamedTuple):
    """Mean and variance of the estimate for each labelled answer without it."""

    means: Matrix
    variances: Matrix


@dataclass(frozen=True, slots=True)
class LevelProcess:
    """A mixture of processes over the levels 0..`top`, fitted by `fit_levels` to n labelled answers.

    Similarities are centred by the answers' means (`columns`, `whole`), because all answers to a question are similar.
    `general` has the labelled answers' mean of each general score. Estimates vary less than levels: their distance
    from `centre`, multiplied by `stretch`, has the variance of the labels. `usual` is a normal distribution of levels,
    and `counts` has the number of reviewed answers per level. `error_scale` calibrates the expected error; `right` and
    `sure`, the expected share of right levels and the mean confidence before, calibrate the confidence. `labelled` are
    the labelled answers' estimates, by leave-one-out.
    """

    columns: Matrix
    whole: Matrix
    general: Matrix
    processes: tuple[_Process, ...]
    usual: NormalDist
    counts: Matrix
    kappa_weight: float
    centre: float
    stretch: float
    error_scale: float = 1.0
    right: float = 1.0
    sure: float = 1.0
    labelled: tuple[Estimate, ...] = ()

    def estimate(self, similarity: Blocks, own: Blocks, general: Matrix) -> Estimate:
        """Estimate the level of an answer.

        It is compared with the n answers (rows of n) and with itself (scalars); `general` are its general scores.
        """
        row = np.stack(similarity)
        means = row.mean(axis=1)
        centred = row - means[:, None] - self.columns + self.whole[:, None]
        own_centred = np.array(own) - 2 * means + self.whole
        beyond = general - self.general
        predicted = [_predict(each, centred, own_centred, beyond) for each in self.processes]
        shares = np.array([each.share for each in self.processes])
        mean, variance = _mixed(
            shares, np.array([each[0] for each in predicted]), np.array([each[1] for each in predicted])
        )
        return self.calibrated(self.judge((len(self.counts) - 1) / 2 + float(mean), float(variance), self.counts))

    def calibrated(self, estimate: Estimate) -> Estimate:
        """Calibrate confidence and error.

        Uncalibrated confidences of essays differ too much from their mean. The quotient of both is reduced to its root:
        the square root with a `kappa_weight` of 4, and no change with 1.
        """
        relative = (estimate.confidence / self.sure) ** (1 / math.sqrt(self.kappa_weight))
        return estimate._replace(confidence=min(1.0, self.right * relative), error=self.error_scale * estimate.error)

    def judge(self, mean: float, variance: float, counts: Matrix) -> Estimate:
        """Choose a level for a normal distribution of the level.

        The chosen level adds most to exact agreement + `kappa_weight` * quadratic kappa. Both are linear in the
        answer's chance to be right, its expected error and the error by chance, at the kappa that the stretch implies.
        """
        levels = np.arange(len(counts))
        shares = self._shares(mean, variance, counts)
        errors = variance + (mean - levels) ** 2
        chances = variance + (mean - self.centre) ** 2 + (levels - self.centre) ** 2
        kappa = 1 / self.stretch
        lost = (errors - (1 - kappa) * chances) / (2 * self.usual.variance)
        level = int(np.argmax(shares - self.kappa_weight * lost))
        return Estimate(level, float(shares[level]), float(errors[level]), float(chances[level]))

    def _shares(self, mean: float, variance: float, counts: Matrix) -> Matrix:
        """Return the probability of each level.

        Estimates of short answers are too close to their centre, and those of essays less so: the square root of the
        stretch calibrates essays.
        """
        stretch = self.stretch ** (1 / math.sqrt(self.kappa_weight))
        stretched = NormalDist(self.centre + stretch * (mean - self.centre), math.sqrt(variance))
        thresholds = _thresholds(self.usual, counts, USUAL_WEIGHT * self.kappa_weight)
        return np.diff([0.0, *map(stretched.cdf, thresholds), 1.0])


def fit_levels(similarity: Blocks, general: Matrix, labels: Labels, priors: Priors) -> LevelProcess:
    """Fit to the levels of n >= 1 answers; only the levels of students' answers say how frequent each level is.

    The similarities are n x n matrices. `general` is an n x 2 matrix of general scores, each with a standard deviation
    of about 1 among the answers to a question.
    """
    levels, top, reviewed = labels
    blocks = np.stack(similarity)
    columns, whole = blocks.mean(axis=1), blocks.mean(axis=(1, 2))
    centred = blocks - columns[:, None, :] - columns[:, :, None] + whole[:, None, None]
    count = len(levels)
    spread = (count * float(levels.var()) + PRIOR_WEIGHT * (PRIOR_SPREAD * top) ** 2) / (count + PRIOR_WEIGHT)
    trends = _trends(general - general.mean(axis=0), priors.slope * math.sqrt(spread))
    processes, loo = _mixture(centred, trends, levels - top / 2, top, priors.surface_penalty)
    loo = loo._replace(means=loo.means + top / 2)
    process = LevelProcess(
        columns=columns,
        whole=whole,
        general=general.mean(axis=0),
        processes=processes,
        usual=NormalDist(float(levels.mean()), math.sqrt(spread)),
        counts=np.bincount(levels[count - reviewed :].astype(int), minlength=top + 1).astype(np.float64),
        kappa_weight=priors.kappa_weight,
        centre=float(loo.means.mean()),
        stretch=_stretch(loo),
    )
    return _calibrated(process, loo, labels)


def _mixture(
    centred: Matrix, trends: Sequence[_Trend], beyond: Matrix, top: int, surface_penalty: float
) -> tuple[tuple[_Process, ...], _Loo]:
    """Return the processes that count, and the mixture's leave-one-out estimates."""
    fitted, evidence, loos = [], [], []
    for each in _candidates(centred):
        for process, log_likelihood, loo in _fit(centred, trends, beyond, top, each):
            fitted.append(process)
            evidence.append(log_likelihood - surface_penalty * each.surface)
            loos.append(loo)
    shares = np.exp(np.array(evidence) - max(evidence))
    shares = np.where(shares < FEWEST_PROCESS * shares.sum(), 0, shares)
    shares /= shares.sum()
    loo = _Loo(*_mixed(shares, np.stack([each.means for each in loos]), np.stack([each.variances for each in loos])))
    kept = [replace(each, share=float(share)) for share, each in zip(shares, fitted, strict=True) if share]
    return tuple(kept), loo


def _candidates(centred: Matrix) -> Iterator[_Candidate]:
    """Yield the combinations of surface share and noise. Contents are scaled to a variance of 1."""
    content, descriptors, _ = np.maximum(np.trace(centred, axis1=1, axis2=2) / centred.shape[1], 1e-9)
    for surface in SURFACE_SHARES:
        contents = [(1 - DESCRIPTOR_SHARE) / content, DESCRIPTOR_SHARE / descriptors]
        weights = np.array([*((1 - surface) * each for each in contents), surface])
        for signal in SIGNAL_SHARES:
            yield _Candidate(surface, signal * weights, 1 - signal)


def _fit(
    centred: Matrix, trends: Sequence[_Trend], beyond: Matrix, top: int, candidate: _Candidate
) -> Iterator[tuple[_Process, float, _Loo]]:
    """Yield a process for each trend, its log marginal likelihood, and its leave-one-out estimates (in closed form)."""
    _, blocks, noise = candidate
    count = len(beyond)
    covariance = np.tensordot(blocks, centred, axes=1) + noise * np.eye(count) + MEAN_VARIANCE
    inverse: Matrix = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    half_log_determinant = float(np.linalg.slogdet(covariance)[1]) / 2
    diagonal = inverse.diagonal()
    for trend in trends:
        weights: Matrix = inverse @ (beyond - trend.values)
        spread = PRIOR_WEIGHT * (PRIOR_SPREAD * top) ** 2 + float((beyond - trend.values) @ weights)
        variance = spread / (PRIOR_WEIGHT + count)
        process = _Process(1.0, blocks, trend.slopes, noise, variance, weights, inverse)
        log_likelihood = -half_log_determinant - (PRIOR_WEIGHT + count) / 2 * math.log(spread)
        yield process, log_likelihood, _Loo(beyond - weights / diagonal, variance / diagonal)


def _trends(general: Matrix, slope: float) -> list[_Trend]:
    """Return a trend along each of the two general scores, or one without a slope. `general` is centred."""
    slopes = dict.fromkeys(((slope, 0.0), (0.0, slope)))
    return [_Trend(np.array(each), general @ np.array(each)) for each in slopes]


def _predict(process: _Process, centred: Matrix, own: Matrix, general: Matrix) -> tuple[float, float]:
    row = process.blocks @ centred + MEAN_VARIANCE
    unexplained = float(process.blocks @ own) + process.noise + MEAN_VARIANCE - float(row @ process.inverse @ row)
    mean = float(general @ process.slopes) + float(row @ process.weights)
    return mean, process.variance * max(process.noise, unexplained)


def _mixed(shares: Matrix, means: Matrix, variances: Matrix) -> tuple[Matrix, Matrix]:
    """Return mean and variance of the mixture."""
    mean = np.tensordot(shares, means, axes=1)
    return mean, np.tensordot(shares, variances + (means - mean) ** 2, axes=1)


def _stretch(loo: _Loo) -> float:
    """Return the factor that gives the estimates the variance of the levels."""
    count, explained = len(loo.means), float(loo.means.var())
    share = explained / (explained + float(loo.variances.mean()))
    share = (count * share + EXPLAINED_WEIGHT * PRIOR_EXPLAINED) / (count + EXPLAINED_WEIGHT)
    return 1 / math.sqrt(max(LEAST_EXPLAINED, share))


def _thresholds(usual: NormalDist, counts: Matrix, weight: float) -> list[float]:
    """Return the thresholds between levels that divide the usual distribution like the counts, with a prior.

    The prior, and the result without counts, are the thresholds half-way between levels.
    """
    between = [usual.cdf(level + 0.5) for level in range(len(counts) - 1)]
    shares = (counts + weight * np.diff([0.0, *between, 1.0])) / (counts.sum() + weight)
    return [usual.inv_cdf(below) for below in np.clip(np.cumsum(shares)[:-1], RAREST, 1 - RAREST)]


def _calibrated(process: LevelProcess, loo: _Loo, labels: Labels) -> LevelProcess:
    """Calibrate error and confidence by leave-one-out. A reviewed answer does not count for its own level."""
    levels, _, reviewed = labels
    count = len(levels)
    own = np.eye(len(process.counts))[levels.astype(int)]
    own[: count - reviewed] = 0
    found = list(map(process.judge, loo.means.tolist(), loo.variances.tolist(), process.counts - own))
    expected = sum(each.error for each in found)
    missed = np.array([each.level for each in found]) - levels
    scale = (float(missed @ missed) + ERROR_WEIGHT * expected / count) / (expected + ERROR_WEIGHT * expected / count)
    sure = sum(each.confidence for each in found) / count
    right = (float((missed == 0).sum()) + RIGHT_WEIGHT * sure) / (count + RIGHT_WEIGHT)
    calibrated = replace(process, error_scale=scale, right=right, sure=sure)
    return replace(calibrated, labelled=tuple(map(calibrated.calibrated, found)))
