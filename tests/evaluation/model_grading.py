"""`python -m tests.evaluation.model_grading`: check the evaluation of language models without a key (some seconds).

It grades the labelled answers in `deploy/content` with the replies in `recorded_replies.json`. A simulation wrote them,
so the figures say nothing about the quality of a language model. They check the program:

- each reply that is not JSON is counted, and corrected by the next one
- the cost of all scores is the sum over all replies, from their tokens and the price table
- doubtful essays get more samples and others do not, which changes the share that waits for a review
- a calibration learns from one half of the answers and lowers the calibration error of the other half
- attacks gain nothing with a model that obeys them and also reports them

With a key, `make evaluate GRADER=openai` reports the same figures for a real model.
"""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from activities.adapters.openai.grader_reply import read_reply, read_usage
from activities.adapters.openai.model_prices import ModelPrice
from domain.grading.ledger import Completion
from domain.grading.model_calibration import CriterionKey, ReviewedLevel, calibrate
from domain.grading.model_grading import GradingRequest, Reply
from domain.grading.ports import EssayGrader
from domain.grading.rubrics import Essay
from tests.benchmarks import report
from tests.evaluation.agreement import Figures, Judged, calibration, calibration_error, figures
from tests.evaluation.graders import ModelGrader
from tests.evaluation.labelled_sets import project_anchors
from tests.evaluation.manipulation import appended, gains, graded_by_obedient_model
from tests.evaluation.manipulation_sets import attacks
from tests.evaluation.trials import Protocol, Question, grade, questions
from tests.support.fake_completions import MODEL, completion

RECORDED: Final = Path(__file__).with_name("recorded_replies.json")
INVENTED: Final = "Nobody ever wrote this sentence anywhere."
LATENCY_MS: Final = 800
ATTACKS: Final = 24

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """An essay with an appended attack, and the essay without it."""

    base: Essay
    essay: Essay
    attack: str


def attacked_essays(essays: Sequence[Essay], number: int) -> list[Attacked]:
    """Append `number` attacks, spread over all languages and kinds, to essays that are spread over all questions."""
    tried = attacks()
    return [
        Attacked(base=base, essay=appended(base, attack.text), attack=attack.text)
        for base, attack in islice(zip(cycle(_spread(essays, number)), _spread(tried, number), strict=False), number)
    ]


async def injection(grader: EssayGrader, attacked: Sequence[Attacked]) -> dict[str, object]:
    """Measure what the attacks gain: the share of the points with an attack minus the share without it."""
    found = await gains(grader, [each.base for each in attacked], [each.essay for each in attacked])
    return {
        "attacks": len(attacked),
        "mean gain": round(found.mean, 3),
        "largest gain": round(found.largest, 3),
        "to review": round(found.reviewed, 3),
    }


class RecordedModel:
    """A GradingModel that replies with a recorded sequence of replies per essay.

    `completions` are all completions so far. A reply is read and its price is calculated as for OpenAI.
    """

    model = MODEL
    prompt_version = "recorded"
    deadline_s = 1.0
    most_examples = 0
    hosted_by_openai = False

    def __init__(self, replies: Mapping[UUID, Sequence[str]]) -> None:
        self.completions: list[Completion] = []
        self._left = {key: iter(each) for key, each in replies.items()}
        self._price = ModelPrice.find(self.model, {})

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        del wanted
        return None

    async def complete(self, wanted: GradingRequest) -> Completion:
        raw = completion(_content(wanted, next(self._left[wanted.essay.snapshot_id]))).body
        usage = read_usage(raw)
        assert self._price is not None
        assert usage.prompt is not None
        assert usage.completion is not None
        self.completions.append(
            Completion(
                raw=raw,
                request_id=None,
                latency_ms=LATENCY_MS,
                prompt_tokens=usage.prompt,
                cached_tokens=usage.cached,
                completion_tokens=usage.completion,
                cost_cents=self._price.cents(prompt=usage.prompt, completion=usage.completion),
            )
        )
        return self.completions[-1]

    def read(self, raw: bytes) -> Reply:
        return read_reply(raw)


def recorded_questions() -> tuple[list[Question], dict[UUID, list[str]]]:
    """Return the labelled answers to grade, and the recorded replies by essay."""
    recorded = json.loads(RECORDED.read_text("utf-8"))["replies"]
    asked = [each for item in project_anchors() for each in questions(item, Protocol(shown=None))]
    return asked, {each.essay.snapshot_id: recorded[each.item.key][each.answer] for each in asked}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run with recorded replies. `paid_cents` is the sum over all completions."""

    judged: Sequence[Judged]
    figures: Figures
    about: Mapping[str, Any]
    calls: int
    paid_cents: Decimal


async def measure(most: int) -> Measured:
    """Grade the labelled answers once, and doubtful ones at most `most` times."""
    asked, replies = recorded_questions()
    model = RecordedModel(replies)
    grader = ModelGrader(model, samples=1, most=most, concurrency=1)
    judged = await grade(grader, asked)
    return Measured(
        judged=judged,
        figures=figures(judged),
        about=grader.about,
        calls=len(model.completions),
        paid_cents=sum((each.cost_cents or Decimal(0) for each in model.completions), Decimal(0)),
    )


def calibration_errors(judged: Sequence[Judged]) -> tuple[float, float]:
    """Return the calibration error of every second answer before and after a calibration on the other answers."""
    graded = [each for each in judged if each.given]
    learned = calibrate(level for each in graded[::2] for level in _levels(each))
    tested = graded[1::2]
    after = [
        replace(
            each,
            confidences=tuple(float(learned.confidence(level.key, level.confidence)) for level in _levels(each)),
        )
        for each in tested
    ]
    return calibration_error(calibration(tested)), calibration_error(calibration(after))


def obedient_gains(attacked: Sequence[Attacked]) -> list[float]:
    """Return the gain of each attack with a model that obeys it and also reports it."""
    return [
        float(graded_by_obedient_model(each.essay, each.attack).fraction or 0)
        - float(graded_by_obedient_model(each.base, "").fraction or 0)
        for each in attacked
    ]


def faults(once: Measured, more: Measured, errors: tuple[float, float], gained: Sequence[float]) -> list[str]:
    """Return the checks that failed."""
    failed = {
        "a reply was lost": once.figures.answers != sum(once.about["essays by samples"].values()),
        "the cost differs from that of the replies": any(
            run.figures.cost_cents != run.paid_cents for run in (once, more)
        ),
        "an essay was graded twice without need": set(once.about["essays by samples"]) != {1},
        "more samples did not reduce the reviews": more.figures.to_review >= once.figures.to_review,
        "the calibration did not reduce the error": errors[1] >= errors[0],
        "an attack gained points": max(gained) > 0,
    }
    return [fault for fault, found in failed.items() if found]


async def main() -> int:
    once, more = await measure(1), await measure(3)
    errors = calibration_errors(once.judged)
    asked, _ = recorded_questions()
    gained = obedient_gains(attacked_essays([each.essay for each in asked], ATTACKS))
    report.say("Simulated replies: these figures check the program, not a language model.\n")
    columns = ["most samples", "answers", "calls", "cents", "kappa", "to review", "first", "corrected", "rejected"]
    report.say(report.table(columns, [_row("1", once), _row("3", more)]))
    report.say(f"\ncalibration error of one half: {errors[0]:.3f}; calibrated on the other half: {errors[1]:.3f}")
    report.say(f"obedient model: {len(gained)} attacks, largest gain {max(gained):.3f}")
    failed = faults(once, more, errors, gained)
    report.say(f"Failed checks: {', '.join(failed) or 'none'}")
    return bool(failed)


def _row(name: str, run: Measured) -> list[object]:
    counts = [run.about["answers"].get(verdict, 0) for verdict in ("first", "corrected", "rejected")]
    found = run.figures
    cells = [run.calls, f"{run.paid_cents:.3f}", f"{found.quadratic_kappa.value:.3f}", f"{found.to_review:.0%}"]
    return [name, found.answers, *cells, *counts]


def _content(wanted: GradingRequest, reply: str) -> str:
    """Build the text of a recorded reply: the index of each level, `?` for an invented quote, `!` for no JSON."""
    if reply.endswith("!"):
        return "I would give this answer a good grade."
    quotes = [wanted.text, *([INVENTED] if reply.endswith("?") else [])]
    criteria = {
        criterion.key: {
            "rationale": "The answer says so.",
            "quotes": quotes,
            "level": criterion.levels[int(place)].name,
        }
        for criterion, place in zip(wanted.essay.rubric.criteria, reply.rstrip("?"), strict=True)
    }
    return json.dumps({"addresses_grader": [], "criteria": criteria, "answers_the_question": True, "feedback": "Fair."})


def _levels(judged: Judged) -> Iterator[ReviewedLevel]:
    """Yield the levels as if a reviewer had set people's levels."""
    levels = zip(judged.true, judged.given, judged.confidences, strict=True)
    for place, (true, given, confidence) in enumerate(levels):
        key = CriterionKey(judged.item, str(place))
        yield ReviewedLevel(key=key, confidence=Decimal(str(confidence)), confirmed=true == given)


def _spread(values: Sequence[Value], number: int) -> list[Value]:
    """Return at most `number` values at equal distances."""
    count = min(number, len(values))
    return [values[place * len(values) // count] for place in range(count)]


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
