"""The graders to evaluate, as implementations of the port EssayGrader."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID

from sklearn.linear_model import Ridge

from activities.adapters.caching import LongTextEmbedder
from activities.adapters.local_grader.anchor_model import labelled_answers
from domain.assessments.questions import Anchor, Criterion
from domain.errors import ExternalServiceError, ModelCircuitOpen, ModelUnavailable, Problem
from domain.grading.essay_text import sanitize
from domain.grading.ledger import Completion
from domain.grading.model_grading import (
    ROUNDS,
    Accepted,
    Call,
    GradingRequest,
    MoreSamples,
    Rejected,
    Reply,
    Unscorable,
    build_request,
    next_call,
    validate_reply,
)
from domain.grading.model_scores import essay_score
from domain.grading.ports import GradingModel
from domain.grading.rubrics import Essay, essay_points
from domain.grading.scores import CriterionRating, EssayScore, Spent

RIDGE_ALPHA: Final = 0.3
ATTEMPTS: Final = 5
"""The attempts at a call with a retryable error. A timeout is not retried: the call may have been charged."""
LONGEST_WAIT_S: Final = 60.0


class OnceEmbedder:
    """A cache of another embedder's vectors, by text."""

    def __init__(self, embedder: LongTextEmbedder) -> None:
        self.model = embedder.model
        self._embedder = embedder
        self._vectors: dict[str, list[float]] = {}
        self._seconds = 0.0

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            started = time.monotonic()
            self._vectors |= dict(zip(new, await self._embedder.embed_long(new), strict=True))
            self._seconds += time.monotonic() - started
        return [self._vectors[text] for text in texts]

    @property
    def ms_a_text(self) -> float:
        """Return the mean time of an embedding in ms; graders with this embedder do not include it."""
        return self._seconds * 1000 / max(1, len(self._vectors))


class RidgeGrader:
    """A plain baseline: ridge regression from MiniLM's vectors to each criterion's levels.

    Its confidence is the distance of the estimate to the nearest level. It flags no text and requests no review.
    """

    def __init__(self, embedder: LongTextEmbedder) -> None:
        self._embedder = embedder

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        found = []
        for labelled, together in groupby(essays, labelled_answers):
            found += await self._grade(list(together), labelled)
        return found

    async def _grade(self, essays: Sequence[Essay], labelled: Sequence[Anchor]) -> list[EssayScore]:
        if not labelled:
            return [unscored(essay, "local-ridge", Spent(latency_ms=0, cost_cents=Decimal(0))) for essay in essays]
        names = {each.key: [level.name for level in each.levels] for each in essays[0].rubric.criteria}
        levels = [[level_names.index(answer.levels[key]) for key, level_names in names.items()] for answer in labelled]
        vectors = await self._embedder.embed_long([*(each.text for each in labelled), *(each.text for each in essays)])
        model = Ridge(alpha=RIDGE_ALPHA).fit(vectors[: len(labelled)], levels)
        positions = model.predict(vectors[len(labelled) :]).reshape(len(essays), -1)
        return [_by_position(essay, row.tolist()) for essay, row in zip(essays, positions, strict=True)]


def _by_position(essay: Essay, positions: Sequence[float]) -> EssayScore:
    """Choose the level nearest to each criterion's position on its scale."""
    ratings = tuple(map(_nearest, essay.rubric.criteria, positions))
    points, max_points, fraction = essay_points(essay.rubric, ratings)
    return EssayScore(
        snapshot_id=essay.snapshot_id,
        points=points,
        max_points=max_points,
        fraction=fraction,
        ratings=ratings,
        feedback="",
        model="local-ridge",
        prompt_version="none",
        rubric_version=essay.rubric_version,
        confidence=min(rating.confidence for rating in ratings),
        needs_review=False,
    )


def _nearest(criterion: Criterion, position: float) -> CriterionRating:
    position = min(max(position, 0.0), len(criterion.levels) - 1.0)
    place = int(position + 0.5)
    return CriterionRating(
        criterion=criterion.key,
        level=criterion.levels[place].name,
        points=criterion.levels[place].points,
        rationale="By ridge regression.",
        confidence=Decimal(str(round(1 - abs(position - place), 3))),
    )


class ModelGrader:
    """Grade with a language model as production does, with `concurrency` essays at a time.

    Each essay has `samples` gradings, a doubtful one at most `most`. Its confidence is not calibrated. An essay whose
    replies are rejected, or whose call failed permanently, gets no points. An essay that was graded before is not paid
    for again.
    """

    def __init__(self, model: GradingModel, *, samples: int, concurrency: int, most: int = 1) -> None:
        self._model = model
        self._samples = samples
        self._more = MoreSamples(most=most)
        self._slots = asyncio.Semaphore(concurrency)
        self._replies: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._samples_made: Counter[int] = Counter()
        self._scores: dict[tuple[UUID, str], EssayScore] = {}

    @property
    def about(self) -> dict[str, object]:
        """Count the valid replies: at first, after the corrective round or never; and the failed calls by error."""
        all_replies = max(1, self._replies.total())
        return {
            "answers": dict(self._replies),
            "schema validity": {name: round(count / all_replies, 3) for name, count in self._replies.items()},
            "failed calls": dict(self._failures),
            "essays by samples": dict(sorted(self._samples_made.items())),
        }

    def calls_at_most(self, essays: Sequence[Essay]) -> tuple[int, Decimal | None]:
        """Return the highest number of completions and their highest price in cents, or None if the price is unknown.

        A model may report an injection in any essay. The essay is then also graded without that text, but only with
        the required samples.
        """
        rounds = [
            GradingRequest(essay=essay, text=sanitize(essay.text), rejected=rejected)
            for essay in essays
            for rejected in (None, _everything_wrong(essay))
        ]
        prices = [self._model.highest_price_cents(each) for each in rounds]
        known = [price for price in prices if price is not None]
        times = max(self._samples, self._more.most) + self._samples
        return times * len(rounds), times * sum(known, Decimal(0)) if len(known) == len(prices) else None

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        return await asyncio.gather(*(self._grade_once(essay) for essay in essays))

    async def _grade_once(self, essay: Essay) -> EssayScore:
        key = (essay.snapshot_id, essay.text)
        if key not in self._scores:
            self._scores[key] = await self._grade(essay)
        return self._scores[key]

    async def _grade(self, essay: Essay) -> EssayScore:
        bought: dict[Call, Completion] = {}
        replies: dict[Call, Reply] = {}
        async with self._slots:
            try:
                while isinstance(due := next_call(essay, replies, self._samples, self._more), Call):
                    bought[due] = await self._buy(build_request(essay, replies, due))
                    replies[due] = self._model.read(bought[due].raw)
            except ExternalServiceError as error:
                self._failures[type(error).__name__] += 1
                due = Unscorable()
        self._replies.update(_verdicts(essay, replies))
        self._samples_made[len({call.sample for call in replies})] += 1
        spent = _spent([*bought.values()])
        if isinstance(due, Accepted):
            return essay_score(essay, due, spent, model=self._model.model, prompt_version=self._model.prompt_version)
        return unscored(essay, self._model.model, spent)

    async def _buy(self, wanted: GradingRequest) -> Completion:
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._model.complete(wanted)
            except (ModelUnavailable, ModelCircuitOpen) as error:
                await asyncio.sleep(min(LONGEST_WAIT_S, error.retry_after_s or 0.1 * 2**attempt))
        return await self._model.complete(wanted)


def unscored(essay: Essay, model: str, spent: Spent) -> EssayScore:
    """Build an abstention."""
    return EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="",
        model=model,
        prompt_version="none",
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
        latency_ms=spent.latency_ms,
        cost_cents=spent.cost_cents,
    )


def _verdicts(essay: Essay, replies: Mapping[Call, Reply]) -> list[str]:
    """Return `first`, `corrected` or `rejected` per sample of each text; skip failed corrective rounds."""
    rounds: dict[Call, list[bool]] = defaultdict(list)
    for call in sorted(replies, key=lambda call: call.round):
        verdict = validate_reply(essay.rubric, build_request(essay, replies, call).text, replies[call])
        rounds[call._replace(round=0)].append(isinstance(verdict, Accepted))
    names = {(True,): "first", (False, True): "corrected", (False,) * ROUNDS: "rejected"}
    return [names[tuple(each)] for each in rounds.values() if tuple(each) in names]


def _spent(bought: Sequence[Completion]) -> Spent:
    costs = [each.cost_cents for each in bought]
    known = [cost for cost in costs if cost is not None]
    return Spent(
        latency_ms=sum(each.latency_ms for each in bought),
        cost_cents=sum(known, Decimal(0)) if len(known) == len(costs) else None,
    )


def _everything_wrong(essay: Essay) -> Rejected:
    """Build a rejection with more problems than any corrective round has."""
    criteria = essay.rubric.criteria
    problems = [("answer", "x" * 400)]
    problems += [(each.key, "must be one of " + ", ".join(level.name for level in each.levels)) for each in criteria]
    problems += [(each.key, "has no quote that is in the essay word for word") for each in criteria]
    return Rejected(problems=tuple(Problem(*each) for each in problems))
