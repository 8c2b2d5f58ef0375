"""Grades essays without a language model, by likeness to the labelled answers of their question."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

import numpy as np

from activities.adapters.anchor_fit import Fit, fit, fit_texts, labelled_answers
from activities.adapters.answers import Matrix
from activities.adapters.level_process import Estimate
from activities.text_analysis import IN_PROCESS
from domain.errors import AnalysisFailed
from domain.essay_reading import read_essay
from domain.essay_text import (
    ADDRESSED_TO_GRADER,
    COPIED_PROMPT,
    GIBBERISH,
    HIDDEN_CHARACTERS,
    PASTED_RUBRIC,
    REPEATED,
    TOO_SHORT,
    is_too_short,
)
from domain.essays import Essay, essay_points, ungraded_essay
from domain.identity import content_hash
from domain.ports import TextAnalysis
from domain.questions import Anchor, Criterion
from domain.scores import UNRELATED, CriterionRating, EssayScore

PROMPT_VERSION: Final = "local-3"
"""Changes whenever features, fit or wording do: a score names what made it."""
REVIEW_BELOW: Final = Decimal("0.6")
"""An essay whose levels are, on average, less likely than this to be right waits for a person."""
FEWEST_ANCHORS: Final = 4
"""With fewer labelled answers there is nothing to compare with."""
NOT_AN_ANSWER: Final = Estimate(level=0, confidence=0.9)
"""The lowest level for want of an answer. Of 800 short answers scored by people, nine in ten of those so judged
had it; a person looks all the same."""

_FLAGGED: Final = {
    HIDDEN_CHARACTERS: "It holds characters that cannot be seen.",
    ADDRESSED_TO_GRADER: "A part of it is addressed to the grader.",
    GIBBERISH: "A part of it is no words.",
    COPIED_PROMPT: "Most of it is the question.",
    PASTED_RUBRIC: "A part of it is the rubric or an example answer.",
    REPEATED: "It says the same again.",
    TOO_SHORT: "It is too short.",
    UNRELATED: "It has little to do with the question.",
}


class LongTextEmbedder(Protocol):
    """What the grader needs of a model: whole texts to unit vectors."""

    model: str

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """An essay as it is graded: `texts` are the whole of it and, where something is wrong, what is left without that.

    `question` is the hash of all that its fit depends on.
    """

    essay: Essay
    question: str
    texts: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """An estimate per criterion, what it was compared with, and what is wrong with the text, if anything."""

    estimates: tuple[Estimate, ...]
    compared: int
    nearest: Anchor
    similarity: float
    flags: tuple[str, ...]


class LocalEssayGrader:
    """An EssayGrader on MiniLM and scikit-learn; equal essays get equal scores.

    It abstains where a question has too few labelled answers. A text with something wrong in it (`text_flags`, or
    unrelated to the question) is graded with and without that; the lower level stands, and a person looks.
    `fits_kept` bounds the memory, some hundred KB each. Texts are read in `analysis`, where that can be stopped; an
    essay whose reading fails is left to a person.
    """

    def __init__(self, embedder: LongTextEmbedder, fits_kept: int = 256, analysis: TextAnalysis = IN_PROCESS) -> None:
        self._embedder = embedder
        self._analysis = analysis
        self._fits_kept = fits_kept
        self._fits: OrderedDict[str, Fit] = OrderedDict()

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        """One score an essay, in order. All texts, and the labelled answers not seen before, are embedded at once."""
        started = time.monotonic()
        read = await asyncio.gather(*map(self._read, essays))
        readings = [reading for reading in read if reading is not None]
        gradable = [reading for reading in readings if len(labelled_answers(reading.essay)) >= FEWEST_ANCHORS]
        known = {each.question: self._fits[each.question] for each in gradable if each.question in self._fits}
        new = {each.question: each.essay for each in gradable if each.question not in known}
        vectors = await self._embed(
            [*(reading.texts for reading in gradable), *(fit_texts(essay) for essay in new.values())]
        )
        fits = known | await asyncio.to_thread(_fit_all, new, vectors[len(gradable) :])
        self._keep(fits)
        verdicts = await asyncio.to_thread(_judge_all, gradable, vectors[: len(gradable)], fits)
        latency_ms = round((time.monotonic() - started) * 1000 / max(1, len(essays)))
        judged = {reading.essay.snapshot_id: verdict for reading, verdict in zip(gradable, verdicts, strict=True)}
        scores = [
            ungraded_essay(essay) if reading is None else _score(reading, judged.get(essay.snapshot_id))
            for essay, reading in zip(essays, read, strict=True)
        ]
        return [replace(score, latency_ms=latency_ms) for score in scores]

    async def _read(self, essay: Essay) -> _Reading | None:
        """None where the analysis of the text failed: a person grades that essay, and the others are not held up."""
        try:
            reading = await self._analysis.run(read_essay, essay)
        except AnalysisFailed:
            return None
        question = _question(essay, self._embedder.model)
        return _Reading(essay=essay, question=question, texts=reading.texts, flags=reading.flags)

    async def _embed(self, batches: Sequence[Sequence[str]]) -> list[Matrix]:
        """The vectors of each list of texts, by one call of the model."""
        vectors = iter(await self._embedder.embed_long([text for batch in batches for text in batch]))
        return [np.array([next(vectors) for _ in batch], dtype=np.float64) for batch in batches]

    def _keep(self, fits: Mapping[str, Fit]) -> None:
        """The fits used last are kept; the rest would have to be made again."""
        for question, each in fits.items():
            self._fits[question] = each
            self._fits.move_to_end(question)
        while len(self._fits) > self._fits_kept:
            self._fits.popitem(last=False)


def _question(essay: Essay, model: str) -> str:
    labelled = [[answer.text, dict(answer.levels)] for answer in essay.labelled]
    return content_hash([model, PROMPT_VERSION, essay.rubric_version, labelled])


def _fit_all(new: Mapping[str, Essay], references: Sequence[Matrix]) -> dict[str, Fit]:
    return {question: fit(essay, vectors) for (question, essay), vectors in zip(new.items(), references, strict=True)}


def _judge_all(readings: Sequence[_Reading], vectors: Sequence[Matrix], fits: Mapping[str, Fit]) -> list[_Verdict]:
    return [_judge(reading, rows, fits[reading.question]) for reading, rows in zip(readings, vectors, strict=True)]


def _judge(reading: _Reading, vectors: Matrix, fitted: Fit) -> _Verdict:
    """With and without what is wrong, the lower level of each criterion."""
    ways = [_estimate(reading.essay, text, vector, fitted) for text, vector in zip(reading.texts, vectors, strict=True)]
    nearest, similarity = fitted.nearest(vectors[0])
    return _Verdict(
        estimates=tuple(min(each, key=lambda estimate: estimate.level) for each in zip(*ways, strict=True)),
        compared=len(fitted.labelled),
        nearest=nearest,
        similarity=similarity,
        flags=(*reading.flags, UNRELATED) if fitted.is_unrelated(vectors[0]) else reading.flags,
    )


def _estimate(essay: Essay, text: str, vector: Matrix, fitted: Fit) -> list[Estimate]:
    if fitted.is_unrelated(vector) or is_too_short(text, essay.rubric, essay.labelled):
        return [NOT_AN_ANSWER] * len(essay.rubric.criteria)
    return fitted.estimate(text, vector)


def _score(reading: _Reading, verdict: _Verdict | None) -> EssayScore:
    essay = reading.essay
    unscored = EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="Nobody has graded this answer yet: it waits for a person.",
        model=f"local-minilm-{reading.question[:8]}",
        prompt_version=PROMPT_VERSION,
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
        flags=reading.flags,
    )
    return unscored if verdict is None else _scored(unscored, essay, verdict)


def _scored(unscored: EssayScore, essay: Essay, verdict: _Verdict) -> EssayScore:
    criteria = essay.rubric.criteria
    ratings = tuple(
        _rating(criterion, estimate, verdict) for criterion, estimate in zip(criteria, verdict.estimates, strict=True)
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


def _rating(criterion: Criterion, estimate: Estimate, verdict: _Verdict) -> CriterionRating:
    level = criterion.levels[estimate.level]
    return CriterionRating(
        criterion=criterion.key,
        level=level.name,
        points=level.points,
        rationale=(
            f"Estimated by likeness to {verdict.compared} labelled answers. The closest one, with a similarity of "
            f"{verdict.similarity:.2f}, is at level {verdict.nearest.levels[criterion.key]}."
        ),
        confidence=_thousandths(estimate.confidence),
    )


def _feedback(criteria: Sequence[Criterion], verdict: _Verdict) -> str:
    """For the student: what was left out, what each level means and what the next one would take."""
    parts = ["An estimate by comparison with example answers; nobody has read this answer yet."]
    if verdict.flags:
        parts += [" ".join(["A person will look at the text.", *(_FLAGGED[flag] for flag in verdict.flags)])]
    parts += [_advice(criterion, each.level) for criterion, each in zip(criteria, verdict.estimates, strict=True)]
    return "\n".join(parts)


def _advice(criterion: Criterion, level: int) -> str:
    reached = f"{criterion.name}: {criterion.levels[level].name}. {criterion.levels[level].descriptor}"
    if level + 1 == len(criterion.levels):
        return reached
    return f"{reached} The next level, {criterion.levels[level + 1].name}: {criterion.levels[level + 1].descriptor}"


def _thousandths(value: float) -> Decimal:
    return Decimal(round(value * 1000)).scaleb(-3)
