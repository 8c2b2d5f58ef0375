"""Grades essays without a language model, by likeness to the labelled answers of their rubric."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

import numpy as np

from activities.adapters.anchor_fit import Estimate, Fit, Matrix, fit, fit_texts, word_count
from domain.essays import essay_points
from domain.identity import content_hash
from domain.ports import Essay
from domain.questions import Criterion
from domain.scores import CriterionRating, DegradedReason, EssayScore

PROMPT_VERSION: Final = "local-1"
"""Changes whenever features, fit or wording do: a score names what made it."""
REVIEW_BELOW: Final = Decimal("0.6")
"""An essay whose levels are, on average, less likely than this to be right waits for a person."""
FEWEST_ANCHORS: Final = 4
"""With fewer labelled answers there is nothing to compare with."""
FEWEST_WORDS: Final = 10
LEAST_RELATEDNESS: Final = 0.28
"""Cosine. Every labelled answer of the project is nearer than 0.34 to its prompt; noise stays below 0.22."""
FLAGGED: Final = Estimate(level=0, confidence=0.5)
"""The lowest level for want of a readable answer: a guess about the writer, not a measurement."""


class LongTextEmbedder(Protocol):
    """What the grader needs of a model: whole texts to unit vectors."""

    model: str

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """An estimate per criterion, what it was compared with, and what is wrong with the text, if anything."""

    estimates: tuple[Estimate, ...]
    nearest: int
    similarity: float
    flags: tuple[str, ...]


class LocalEssayGrader:
    """An EssayGrader on MiniLM and scikit-learn; equal batches get equal scores.

    It abstains where a rubric has too few labelled answers. `reason` is why it grades instead of a language model;
    `fits_kept` bounds the memory, some hundred KB each.
    """

    def __init__(
        self,
        embedder: LongTextEmbedder,
        reason: DegradedReason = DegradedReason.ESSAY_GRADER_NOT_CONFIGURED,
        fits_kept: int = 256,
    ) -> None:
        self._embedder = embedder
        self._fits_kept = fits_kept
        self._reason = reason
        self._fits: OrderedDict[str, Fit] = OrderedDict()

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        """One score an essay, in order. All texts, and the labelled answers not seen before, are embedded at once."""
        started = time.monotonic()
        gradable = [essay for essay in essays if len(essay.rubric.anchors) >= FEWEST_ANCHORS]
        known = {e.rubric_version: self._fits[e.rubric_version] for e in gradable if e.rubric_version in self._fits}
        new = {essay.rubric_version: essay for essay in gradable if essay.rubric_version not in known}
        vectors, *references = await self._embed(
            [[essay.text for essay in gradable], *(fit_texts(essay.prompt, essay.rubric) for essay in new.values())]
        )
        fits = known | await asyncio.to_thread(_fit_all, new, references)
        self._keep(fits)
        verdicts = await asyncio.to_thread(_judge_all, gradable, vectors, fits)
        latency_ms = round((time.monotonic() - started) * 1000 / max(1, len(essays)))
        judged = {essay.snapshot_id: verdict for essay, verdict in zip(gradable, verdicts, strict=True)}
        scores = [self._score(essay, judged.get(essay.snapshot_id)) for essay in essays]
        return [replace(score, latency_ms=latency_ms) for score in scores]

    async def _embed(self, batches: Sequence[Sequence[str]]) -> list[list[list[float]]]:
        """A list of vectors for each list of texts, by one call of the model."""
        vectors = iter(await self._embedder.embed_long([text for batch in batches for text in batch]))
        return [[next(vectors) for _ in batch] for batch in batches]

    def _keep(self, fits: Mapping[str, Fit]) -> None:
        """The fits used last are kept; the rest would have to be made again."""
        for version, each in fits.items():
            self._fits[version] = each
            self._fits.move_to_end(version)
        while len(self._fits) > self._fits_kept:
            self._fits.popitem(last=False)

    def _score(self, essay: Essay, verdict: _Verdict | None) -> EssayScore:
        made_of = content_hash([self._embedder.model, PROMPT_VERSION, essay.rubric_version])
        unscored = EssayScore(
            snapshot_id=essay.snapshot_id,
            points=None,
            max_points=essay.rubric.max_points,
            fraction=None,
            ratings=(),
            feedback="Nobody has graded this answer yet: it waits for a person.",
            model=f"local-minilm-{made_of[:8]}",
            prompt_version=PROMPT_VERSION,
            rubric_version=essay.rubric_version,
            confidence=Decimal(0),
            needs_review=True,
            degraded_reason=self._reason,
        )
        return unscored if verdict is None else _scored(unscored, essay, verdict)


def _fit_all(new: Mapping[str, Essay], references: Sequence[Sequence[Sequence[float]]]) -> dict[str, Fit]:
    return {
        version: fit(essay.rubric, vectors) for (version, essay), vectors in zip(new.items(), references, strict=True)
    }


def _judge_all(essays: Sequence[Essay], vectors: Sequence[Sequence[float]], fits: Mapping[str, Fit]) -> list[_Verdict]:
    return [
        _judge(essay, np.asarray(vector, dtype=np.float64), fits[essay.rubric_version])
        for essay, vector in zip(essays, vectors, strict=True)
    ]


def _judge(essay: Essay, vector: Matrix, fitted: Fit) -> _Verdict:
    nearest, similarity = fitted.nearest(vector)
    flags = _flags(essay.text, fitted.relatedness(vector))
    estimates = [FLAGGED] * len(fitted.criteria) if flags else fitted.estimate(essay.text, vector)
    return _Verdict(estimates=tuple(estimates), nearest=nearest, similarity=similarity, flags=flags)


def _flags(text: str, relatedness: float) -> tuple[str, ...]:
    """Why the text cannot be an answer: hardly any words, or words that have nothing to do with the question."""
    if word_count(text) < FEWEST_WORDS:
        return ("too_short",)
    return ("unrelated",) if relatedness < LEAST_RELATEDNESS else ()


def _scored(unscored: EssayScore, essay: Essay, verdict: _Verdict) -> EssayScore:
    criteria = essay.rubric.criteria
    ratings = tuple(
        _rating(criterion, estimate, essay, verdict)
        for criterion, estimate in zip(criteria, verdict.estimates, strict=True)
    )
    points, _, fraction = essay_points(essay.rubric, ratings)
    confidence = _thousandths(sum(estimate.confidence for estimate in verdict.estimates) / len(ratings))
    return replace(
        unscored,
        points=points,
        fraction=fraction,
        ratings=ratings,
        feedback=_feedback(criteria, verdict),
        confidence=confidence,
        needs_review=bool(verdict.flags) or confidence < REVIEW_BELOW,
        flags=verdict.flags,
    )


def _rating(criterion: Criterion, estimate: Estimate, essay: Essay, verdict: _Verdict) -> CriterionRating:
    level = criterion.levels[estimate.level]
    return CriterionRating(
        criterion=criterion.key,
        level=level.name,
        points=level.points,
        rationale=_rationale(criterion, essay, verdict),
        confidence=_thousandths(estimate.confidence),
    )


def _rationale(criterion: Criterion, essay: Essay, verdict: _Verdict) -> str:
    if verdict.flags:
        return "The lowest level, because the text is too short or has nothing to do with the question."
    anchors = essay.rubric.anchors
    return (
        f"Estimated by likeness to {len(anchors)} labelled answers. The closest one, with a similarity of "
        f"{verdict.similarity:.2f}, is at level {anchors[verdict.nearest].levels[criterion.key]}."
    )


def _feedback(criteria: Sequence[Criterion], verdict: _Verdict) -> str:
    """For the student: what each level means and what the next one would take."""
    if verdict.flags:
        return "This could not be read as an answer to the question, so it has the lowest levels until a person looks."
    parts = ["An estimate by comparison with example answers; nobody has read this answer yet."]
    parts += [_advice(criterion, each.level) for criterion, each in zip(criteria, verdict.estimates, strict=True)]
    return "\n".join(parts)


def _advice(criterion: Criterion, level: int) -> str:
    reached = f"{criterion.name}: {criterion.levels[level].name}. {criterion.levels[level].descriptor}"
    if level + 1 == len(criterion.levels):
        return reached
    return f"{reached} The next level, {criterion.levels[level + 1].name}: {criterion.levels[level + 1].descriptor}"


def _thousandths(value: float) -> Decimal:
    return Decimal(round(value * 1000)).scaleb(-3)
