"""Grade essays without a language model, by similarity to the labelled answers of their question."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from activities.adapters.caching import LongTextEmbedder
from activities.adapters.local_grader.anchor_model import (
    DISTANT_DEVIATIONS,
    Fit,
    excess_error,
    fit,
    fit_texts,
    labelled_answers,
)
from activities.adapters.local_grader.feedback import (
    NOTHING_OWN,
    abstention_feedback,
    estimate_feedback,
    estimate_rationale,
)
from activities.adapters.local_grader.gaussian_process import Estimate
from activities.adapters.local_grader.languages import is_other_language
from activities.adapters.local_grader.text_features import Matrix
from activities.text_analysis import IN_PROCESS
from domain.assessments.questions import Anchor, Criterion
from domain.errors import AnalysisFailed
from domain.grading.copies import COPIED_ANSWER
from domain.grading.essay_reading import read_essay
from domain.grading.essay_text import COPIED_PROMPT, PASTED_RUBRIC, REPEATED, TOO_SHORT, is_too_short
from domain.grading.ports import TextAnalysis
from domain.grading.rubrics import Essay, essay_points, ungraded_essay
from domain.grading.scores import OTHER_LANGUAGE, UNRELATED, CopiedFrom, CriterionRating, EssayScore
from domain.ids import content_hash

PROMPT_VERSION: Final = "local-8"
"""The version in every score; it changes whenever the features, the fit or the wording change."""
DOUBT: Final = 0.5
"""The factor of the confidence for a text that is too short, or distant from all labelled answers."""
DISTANT_ANSWERS: Final = 0.45
UNRELATED_ANSWERS: Final = 0.2
"""The probability that a distant or unrelated text answers the question, by Bayes' rule, if one text in twenty does
not: 3.5 % of honest answers and 77 % of answers to other questions are distant, 0.7 % and 50 % are unrelated. The
estimated level is multiplied by it, because a text that does not answer the question has the lowest level."""
LONG: Final = 1.5
"""A text with more than this many times the words of the longest labelled answer needs a review: nothing is known of
such lengths, and padding must not gain points."""
COPIED_CONFIDENCE: Final = 0.2
"""The confidence of the lowest level where nothing but copied or repeated text was found."""
COPIES: Final = frozenset({COPIED_ANSWER, COPIED_PROMPT, PASTED_RUBRIC, REPEATED})
"""The flags for text that earns nothing."""
FEWEST_ANCHORS: Final = 4
"""The fewest labelled answers that are enough for an estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """An essay with its texts to grade: the whole text and, if needed, the text without passages that earn nothing.

    `question` is the hash of everything that the fit depends on.
    """

    essay: Essay
    question: str
    texts: tuple[str, ...]
    flags: tuple[str, ...]
    copied_from: tuple[CopiedFrom, ...]


class _Judgement(NamedTuple):
    """A criterion's estimate; `nothing_own`: only copied or repeated text was found, so the level is the lowest."""

    estimate: Estimate
    nothing_own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """A judgement per criterion, the number of labelled answers, the closest of them, and the flags.

    `doubtful`: the expected error is too high for the organization's target, or the text is distant from all labelled
    answers or much longer.
    """

    judgements: tuple[_Judgement, ...]
    compared: int
    nearest: Anchor
    similarity: float
    flags: tuple[str, ...]
    doubtful: bool


class LocalEssayGrader:
    """An EssayGrader with MiniLM and scikit-learn; equal essays get equal scores.

    It does not grade essays in other languages than English or questions with too few labelled answers. An answer that
    is partly copied, repeated or unrelated to the question is also graded without that text; the lower level counts,
    and the answer needs a review. A text that is unlike all labelled answers has lower levels. Other flags change no
    level. `fits_kept` limits the cache of fits, about 2 MB per criterion with 128 labelled answers. `analysis` analyses
    the texts with a time limit; when that fails, the essay is left to a reviewer. `known_words` is a list of words;
    others count as rare or misspelled.
    """

    def __init__(
        self,
        embedder: LongTextEmbedder,
        fits_kept: int = 64,
        analysis: TextAnalysis = IN_PROCESS,
        known_words: frozenset[str] = frozenset(),
    ) -> None:
        self._embedder = embedder
        self._known_words = known_words
        self._analysis = analysis
        self._fits_kept = fits_kept
        self._fits: OrderedDict[str, Fit] = OrderedDict()

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        """Return one score per essay, in order. One call embeds all texts and the labelled answers of new questions."""
        started = time.monotonic()
        read = await asyncio.gather(*map(self._read, essays))
        readings = [reading for reading in read if reading is not None]
        gradable = [reading for reading in readings if _is_gradable(reading)]
        known = {each.question: self._fits[each.question] for each in gradable if each.question in self._fits}
        new = {each.question: each.essay for each in gradable if each.question not in known}
        vectors = await self._embed(
            [*(reading.texts for reading in gradable), *(fit_texts(essay) for essay in new.values())]
        )
        fits = known | await asyncio.to_thread(_fit_all, new, vectors[len(gradable) :], self._known_words)
        self._cache(fits)
        verdicts = await asyncio.to_thread(_judge_all, gradable, vectors[: len(gradable)], fits)
        latency_ms = round((time.monotonic() - started) * 1000 / max(1, len(essays)))
        judged = {reading.essay.snapshot_id: verdict for reading, verdict in zip(gradable, verdicts, strict=True)}
        scores = [
            ungraded_essay(essay) if reading is None else _score(reading, judged.get(essay.snapshot_id))
            for essay, reading in zip(essays, read, strict=True)
        ]
        return [replace(score, latency_ms=latency_ms) for score in scores]

    async def _read(self, essay: Essay) -> _Reading | None:
        """Analyse the text; None if that failed, so that a reviewer grades the essay and the others continue."""
        try:
            reading = await self._analysis.run(read_essay, essay)
        except AnalysisFailed:
            return None
        flags = reading.flags
        if await asyncio.to_thread(is_other_language, reading.prose):
            flags = (*flags, OTHER_LANGUAGE)
        question = _question(essay, self._embedder.model)
        return _Reading(
            essay=essay, question=question, texts=reading.texts, flags=flags, copied_from=reading.copied_from
        )

    async def _embed(self, batches: Sequence[Sequence[str]]) -> list[Matrix]:
        """Return the vectors of each list of texts, with one call of the model."""
        vectors = iter(await self._embedder.embed_long([text for batch in batches for text in batch]))
        return [np.array([next(vectors) for _ in batch], dtype=np.float64) for batch in batches]

    def _cache(self, fits: Mapping[str, Fit]) -> None:
        """Cache the fits and drop the least recently used ones beyond the limit."""
        for question, each in fits.items():
            self._fits[question] = each
            self._fits.move_to_end(question)
        while len(self._fits) > self._fits_kept:
            self._fits.popitem(last=False)


def _question(essay: Essay, model: str) -> str:
    labelled = [[answer.text, dict(answer.levels)] for answer in essay.labelled]
    return content_hash([model, PROMPT_VERSION, essay.rubric_version, labelled])


def _is_gradable(reading: _Reading) -> bool:
    return len(labelled_answers(reading.essay)) >= FEWEST_ANCHORS and OTHER_LANGUAGE not in reading.flags


def _fit_all(new: Mapping[str, Essay], references: Sequence[Matrix], known_words: frozenset[str]) -> dict[str, Fit]:
    return {
        question: fit(essay, vectors, known_words)
        for (question, essay), vectors in zip(new.items(), references, strict=True)
    }


def _judge_all(readings: Sequence[_Reading], vectors: Sequence[Matrix], fits: Mapping[str, Fit]) -> list[_Verdict]:
    return [_judge(reading, rows, fits[reading.question]) for reading, rows in zip(readings, vectors, strict=True)]


def _judge(reading: _Reading, vectors: Matrix, fitted: Fit) -> _Verdict:
    """Judge the text with and without the passages that earn nothing; the lower level of each criterion counts."""
    whole, *rest = zip(reading.texts, vectors, strict=True)
    ways = [_estimate(reading, *whole, fitted), *(_estimate_rest(reading, *each, fitted) for each in rest)]
    judgements = tuple(min(each, key=lambda judged: judged.estimate.level) for each in zip(*ways, strict=True))
    nearest, similarity = fitted.nearest(vectors[0])
    target = reading.essay.review_target_kappa
    excess = excess_error([each.estimate for each in judgements], target)
    return _Verdict(
        judgements=judgements,
        compared=len(fitted.labelled),
        nearest=nearest,
        similarity=similarity,
        flags=(*reading.flags, UNRELATED) if fitted.is_unrelated(vectors[0]) else reading.flags,
        doubtful=excess > fitted.most_excess(target)
        or fitted.is_unrelated(vectors[0], DISTANT_DEVIATIONS)
        or len(reading.texts[0].split()) > LONG * fitted.longest,
    )


def _estimate(reading: _Reading, text: str, vector: Matrix, fitted: Fit) -> list[_Judgement]:
    """Estimate the levels. A text that is unlike all labelled answers has lower ones, and less confidence.

    A text that is too short has less confidence only.
    """
    answers = _answers(fitted, vector)
    doubt = DOUBT if answers < 1 or TOO_SHORT in reading.flags else 1.0
    return [
        _Judgement(each._replace(level=round(answers * each.level), confidence=doubt * each.confidence))
        for each in fitted.estimate(text, vector)
    ]


def _answers(fitted: Fit, vector: Matrix) -> float:
    """Return the probability that a text answers the question; 1 unless it is unlike all labelled answers."""
    if fitted.is_unrelated(vector):
        return UNRELATED_ANSWERS
    return DISTANT_ANSWERS if fitted.is_unrelated(vector, DISTANT_DEVIATIONS) else 1.0


def _estimate_rest(reading: _Reading, text: str, vector: Matrix, fitted: Fit) -> list[_Judgement]:
    """Estimate the levels of an answer without the passages that earn nothing; the lowest ones if nothing is left."""
    copied = COPIES.intersection(reading.flags)
    if not _has_words(text) or (copied and is_too_short(text, reading.essay.rubric, reading.essay.labelled)):
        return [
            _Judgement(each._replace(level=0, confidence=COPIED_CONFIDENCE), nothing_own=True)
            for each in fitted.estimate(text, vector)
        ]
    return _estimate(reading, text, vector, fitted)


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _score(reading: _Reading, verdict: _Verdict | None) -> EssayScore:
    essay = reading.essay
    unscored = EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback=abstention_feedback(reading.flags),
        model=f"local-minilm-{reading.question[:8]}",
        prompt_version=PROMPT_VERSION,
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
        flags=reading.flags,
        copied_from=reading.copied_from,
    )
    return unscored if verdict is None else _scored(unscored, essay, verdict)


def _scored(unscored: EssayScore, essay: Essay, verdict: _Verdict) -> EssayScore:
    ratings = tuple(
        _rating(criterion, judgement, verdict)
        for criterion, judgement in zip(essay.rubric.criteria, verdict.judgements, strict=True)
    )
    points, _, fraction = essay_points(essay.rubric, ratings)
    confidence = _thousandths(sum(each.estimate.confidence for each in verdict.judgements) / len(ratings))
    needs_review = bool(verdict.flags) or verdict.doubtful
    return replace(
        unscored,
        points=points,
        fraction=fraction,
        ratings=ratings,
        feedback=estimate_feedback(
            essay.rubric,
            {rating.criterion: rating.level for rating in ratings},
            fraction,
            flags=verdict.flags,
            needs_review=needs_review,
        ),
        confidence=confidence,
        needs_review=needs_review,
        flags=verdict.flags,
    )


def _rating(criterion: Criterion, judgement: _Judgement, verdict: _Verdict) -> CriterionRating:
    level = criterion.levels[judgement.estimate.level]
    supports = verdict.nearest.levels[criterion.key] == level.name
    return CriterionRating(
        criterion=criterion.key,
        level=level.name,
        points=level.points,
        rationale=NOTHING_OWN
        if judgement.nothing_own
        else estimate_rationale(verdict.compared, verdict.similarity, supports=supports),
        confidence=_thousandths(judgement.estimate.confidence),
    )


def _thousandths(value: float) -> Decimal:
    return Decimal(round(value * 1000)).scaleb(-3)
