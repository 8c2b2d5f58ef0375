"""Fakes of the ports that grade essays."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from domain.grading.ledger import Completion
from domain.grading.model_grading import Grading, GradingRequest, RawRating, Reply, Unreadable
from domain.grading.rubrics import Essay, essay_points
from domain.grading.scores import CriterionRating, EssayScore


class FakeEssayGrader:
    """A fake of `EssayGrader`: confidently gives the second level. Without labelled answers it abstains."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        return [_abstained(essay) if not essay.rubric.anchors else _second_level(essay) for essay in essays]


def _second_level(essay: Essay) -> EssayScore:
    ratings = tuple(
        CriterionRating(
            criterion=criterion.key,
            level=criterion.levels[1].name,
            points=criterion.levels[1].points,
            rationale="It is always the second level.",
        )
        for criterion in essay.rubric.criteria
    )
    points, _, fraction = essay_points(essay.rubric, ratings)
    score = _abstained(essay)
    return replace(score, points=points, fraction=fraction, ratings=ratings, confidence=Decimal(1), needs_review=False)


def _abstained(essay: Essay) -> EssayScore:
    return EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="Read by nobody.",
        model="local-fake",
        prompt_version="fake",
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
    )


class FakeGradingModel:
    """A fake of the port `GradingModel`: always the second level, with the essay's first words as the quote.

    Each call first takes the next entry of `script`: an error to raise or a raw reply. `asked` records the calls.
    """

    model = "fake-model"
    prompt_version = "f" * 64
    deadline_s = 60.0
    most_examples = 4
    hosted_by_openai = False

    def __init__(self, *script: Exception | bytes, price_cents: Decimal | None = Decimal("0.25")) -> None:
        self.script = list(script)
        self.asked: list[GradingRequest] = []
        self._price_cents = price_cents

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        del wanted
        return self._price_cents

    async def complete(self, wanted: GradingRequest) -> Completion:
        self.asked.append(wanted)
        play = self.script.pop(0) if self.script else graded_raw(wanted)
        if isinstance(play, Exception):
            raise play
        return Completion(
            raw=play,
            request_id=f"fake-{len(self.asked)}",
            latency_ms=7,
            prompt_tokens=100,
            cached_tokens=80,
            completion_tokens=10,
            cost_cents=self._price_cents,
        )

    def read(self, raw: bytes) -> Reply:
        try:
            ratings, feedback, *addressed = json.loads(raw)
            given = [
                RawRating(criterion=key, level=level, rationale=why, quotes=tuple(quotes))
                for key, level, why, quotes in ratings
            ]
        except (ValueError, TypeError, RecursionError):
            return Unreadable(problem="is none of the fake's")
        return Grading(ratings=tuple(given), feedback=feedback, addresses_grader=tuple(addressed))


def graded_raw(wanted: GradingRequest, level: int = 1, addressed: str | None = None) -> bytes:
    """Build the fake model's reply: one level for every criterion, with the essay's first words as the quote.

    `addressed` is the text that the model reports as addressed to the grader.
    """
    quotes = [wanted.text[:40]] if level else []
    ratings = [(each.key, each.levels[level].name, "It says so.", quotes) for each in wanted.essay.rubric.criteria]
    named = [addressed] if addressed else []
    return json.dumps([ratings, "Say how you would check it.", *named]).encode()
