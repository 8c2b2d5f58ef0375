"""Estimate a level from similarities to labelled answers: a mixture of Gaussian processes, fitted for each question."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
PRIOR_LOGIT: Final = 0.2
LOGIT_WEIGHT: Final = 2.0
"""The prior correction of the confidence on the logit scale, and the inverse of its variance."""
NEWTON_STEPS: Final = 6
ERROR_WEIGHT: Final = 8.0
"""The weight, in answers, of the expected errors against the errors that leave-one-out measures."""


class Estimate(NamedTuple):
    """A level by its index from 0, and the probability 0..1 that it is right.

    `error` is the expected squared error of the level, and `chance` that of a level drawn by chance. The expected
    quadratic kappa of some answers is 1 - sum of errors / sum of chances.
    """

    level: int
    confidence: float
    error: float
    chance: float


class Blocks(NamedTuple):
    """Similarities of answers (rows) to the labelled answers by contents, by descriptors and by surface."""

    content: Matrix
    descriptors: Matrix
    surface: Matrix


@dataclass(frozen=True, slots=True)
class _Process:
    """One process of the mixture, with its share. `blocks` has the weight of each block of similarities."""

    share: float
    blocks: Matrix
    noise: float
    variance: float
    weights: Matrix
    inverse: Matrix


class _Loo(NamedTuple):
    """Mean and variance of the estimate for each labelled answer without it."""

    means: Matrix
    variances: Matrix


@dataclass(frozen=True, slots=True)
class LevelProcess:
    """A mixture of processes over the levels 0..`top`, fitted by `fit_levels` to n labelled answers.

    Similarities are centred by the answers' means (`columns`, `whole`), because all answers to a question are similar.
    Estimates vary less than levels. Their distance from `centre` is multiplied by `stretch`, so that they have the
    variance of the labels, whose mean is `mean`. `correction` calibrates the confidence, and `error_scale` the expected
    error. `labelled` are the estimates for the labelled answers, by leave-one-out.
    """

    top: int
    columns: Matrix
    whole: Matrix
    processes: tuple[_Process, ...]
    centre: float = 0.0
    stretch: float = 1.0
    mean: float = 0.0
    correction: float = 0.0
    error_scale: float = 1.0
    labelled: tuple[Estimate, ...] = ()

    def estimate(self, similarity: Blocks, own: Blocks) -> Estimate:
        """Estimate the level of an answer from its similarity to the n answers (rows of n), and to itself (scalars)."""
        row = np.stack(similarity)
        means = row.mean(axis=1)
        centred = row - means[:, None] - self.columns + self.whole[:, None]
        own_centred = np.array(own) - 2 * means + self.whole
        predicted = [_predict(each, centred, own_centred) for each in self.processes]
        shares = np.array([each.share for each in self.processes])
        mean, variance = _mixed(
            shares, np.array([each[0] for each in predicted]), np.array([each[1] for each in predicted])
        )
        (found_level,) = self.judge(np.array([self.top / 2 + mean]), np.array([variance]))
        return found_level

    def judge(self, means: Matrix, variances: Matrix) -> list[Estimate]:
        """Choose levels for normal distributions of the level."""
        levels = np.clip(np.floor(self.centre + self.stretch * (means - self.centre) + 0.5), 0, self.top)
        spread = np.sqrt(variances)
        above = np.where(levels == self.top, 1.0, _below((levels + 0.5 - means) / spread))
        below = np.where(levels == 0, 0.0, _below((levels - 0.5 - means) / spread))
        confidences = _sigmoid(_logit(np.clip(above - below, 1e-3, 1 - 1e-3)) + self.correction)
        errors = self.error_scale * (variances + (means - levels) ** 2)
        chances = variances + (means - self.mean) ** 2 + (levels - self.mean) ** 2
        columns = (levels.astype(int), confidences, errors, chances)
        return [Estimate(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]


def fit_levels(similarity: Blocks, levels: Matrix, top: int, surface_penalty: float = 0.0) -> LevelProcess:
    """Fit to the levels (0..`top`) of n >= 1 answers and their similarities, n x n matrices.

    `surface_penalty` lowers the prior of processes by their share of surface features: e to the power of -penalty *
    share.
    """
    blocks = np.stack(similarity)
    columns, whole = blocks.mean(axis=1), blocks.mean(axis=(1, 2))
    centred = blocks - columns[:, None, :] - columns[:, :, None] + whole[:, None, None]
    processes, loo = _mixture(centred, levels - top / 2, top, surface_penalty)
    means = loo.means + top / 2
    process = LevelProcess(top=top, columns=columns, whole=whole, processes=processes)
    return _calibrated(process, means, loo.variances, levels)


def _mixture(centred: Matrix, beyond: Matrix, top: int, surface_penalty: float) -> tuple[tuple[_Process, ...], _Loo]:
    """Return the processes that count, and the mixture's leave-one-out estimates."""
    fitted, evidence, loos = [], [], []
    for share, blocks, noise in _candidates(centred):
        process, log_likelihood, loo = _fit(centred, beyond, top, blocks, noise)
        fitted.append(process)
        evidence.append(log_likelihood - surface_penalty * share)
        loos.append(loo)
    shares = np.exp(np.array(evidence) - max(evidence))
    shares = np.where(shares < FEWEST_PROCESS * shares.sum(), 0, shares)
    shares /= shares.sum()
    loo = _Loo(*_mixed(shares, np.stack([each.means for each in loos]), np.stack([each.variances for each in loos])))
    kept = [
        _Process(float(share), each.blocks, each.noise, each.variance, each.weights, each.inverse)
        for share, each in zip(shares, fitted, strict=True)
        if share
    ]
    return tuple(kept), loo


def _candidates(centred: Matrix) -> Iterator[tuple[float, Matrix, float]]:
    """Yield each surface share with the weights of the blocks and the noise. Contents are scaled to a variance of 1."""
    content, descriptors, _ = np.maximum(np.trace(centred, axis1=1, axis2=2) / centred.shape[1], 1e-9)
    for surface in SURFACE_SHARES:
        contents = [(1 - DESCRIPTOR_SHARE) / content, DESCRIPTOR_SHARE / descriptors]
        weights = np.array([*((1 - surface) * each for each in contents), surface])
        for signal in SIGNAL_SHARES:
            yield surface, signal * weights, 1 - signal


def _fit(centred: Matrix, beyond: Matrix, top: int, blocks: Matrix, noise: float) -> tuple[_Process, float, _Loo]:
    """Return the process, its log marginal likelihood, and its leave-one-out estimates (in closed form)."""
    count = len(beyond)
    covariance = np.tensordot(blocks, centred, axes=1) + noise * np.eye(count) + MEAN_VARIANCE
    inverse: Matrix = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    weights: Matrix = inverse @ beyond
    spread = PRIOR_WEIGHT * (PRIOR_SPREAD * top) ** 2 + float(beyond @ weights)
    log_likelihood = -np.linalg.slogdet(covariance)[1] / 2 - (PRIOR_WEIGHT + count) / 2 * math.log(spread)
    variance = spread / (PRIOR_WEIGHT + count)
    diagonal = inverse.diagonal()
    loo = _Loo(beyond - weights / diagonal, variance / diagonal)
    return _Process(1.0, blocks, noise, variance, weights, inverse), float(log_likelihood), loo


def _predict(process: _Process, centred: Matrix, own: Matrix) -> tuple[float, float]:
    row = process.blocks @ centred + MEAN_VARIANCE
    unexplained = float(process.blocks @ own) + process.noise + MEAN_VARIANCE - float(row @ process.inverse @ row)
    return float(row @ process.weights), process.variance * max(process.noise, unexplained)


def _mixed(shares: Matrix, means: Matrix, variances: Matrix) -> tuple[Matrix, Matrix]:
    """Return mean and variance of the mixture."""
    mean = np.tensordot(shares, means, axes=1)
    return mean, np.tensordot(shares, variances + (means - mean) ** 2, axes=1)


def _calibrated(process: LevelProcess, means: Matrix, variances: Matrix, levels: Matrix) -> LevelProcess:
    """Fit the stretch, the correction of the confidence and the scale of the error to leave-one-out estimates."""
    count, explained = len(levels), float(means.var())
    share = explained / (explained + float(variances.mean()))
    share = (count * share + EXPLAINED_WEIGHT * PRIOR_EXPLAINED) / (count + EXPLAINED_WEIGHT)
    process = replace(
        process,
        centre=float(means.mean()),
        stretch=max(LEAST_EXPLAINED, share) ** -0.5,
        mean=float(levels.mean()),
    )
    estimates = process.judge(means, variances)
    estimated = np.array([each.level for each in estimates])
    expected = sum(each.error for each in estimates) / count
    measured = float(((estimated - levels) ** 2).sum()) + ERROR_WEIGHT * expected
    process = replace(
        process,
        correction=_correction(np.array([each.confidence for each in estimates]), estimated == levels),
        error_scale=measured / ((count + ERROR_WEIGHT) * expected),
    )
    return replace(process, labelled=tuple(process.judge(means, variances)))


def _correction(chances: Matrix, right: NDArray[np.bool_]) -> float:
    """Return the most likely shift of the logits, by Newton's method."""
    logits, shift = _logit(chances), PRIOR_LOGIT
    for _ in range(NEWTON_STEPS):
        shifted = _sigmoid(logits + shift)
        slope = float((right - shifted).sum()) - LOGIT_WEIGHT * (shift - PRIOR_LOGIT)
        shift += slope / (float((shifted * (1 - shifted)).sum()) + LOGIT_WEIGHT)
    return shift


def _below(deviations: Matrix) -> Matrix:
    """Return the standard normal distribution function."""
    return np.array([(1 + math.erf(each / math.sqrt(2))) / 2 for each in deviations])


def _logit(chances: Matrix) -> Matrix:
    return np.log(chances / (1 - chances))


def _sigmoid(logits: Matrix) -> Matrix:
    return np.asarray(1 / (1 + np.exp(-logits)))
