"""Grading by a language model: which answer to ask for next, what an answer is worth, and when to stop asking.

The model gives levels and quotes. Points come from the rubric; quotes count only if the essay holds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from operator import eq
from statistics import median_low
from typing import Final, NamedTuple, TypeAlias

from domain.errors import InvalidInput, Problem
from domain.essay_text import TOO_SHORT, readable, text_flags, without_address
from domain.essays import Essay, essay_points, rate, verify_quotes
from domain.exact import rounded
from domain.questions import EssayRubric
from domain.scores import UNRELATED, CriterionRating, DegradedReason, EssayScore, Spent
from domain.wording import Runs, cached_runs_of, runs_of, without_runs

TRUSTED: Final = Fraction(9, 10)
"""The confidence of a clean, single answer: a prior, until reviews say how often its levels stand."""
CORRECTED: Final = Fraction(17, 20)
"""What remains of it when the first answer had to be corrected."""
REVIEW_BELOW: Final = Decimal("0.65")
"""A person looks when any criterion is less sure than this: two of three samples that agree are."""
ROUNDS: Final = 2
"""The first answer and a corrective one."""

NOT_SHOWN: Final = "This comment is not shown because it repeated confidential grading material."


class Variant(StrEnum):
    """The essay as it is, or without the text that addresses the grader."""

    FULL = "full"
    STRIPPED = "stripped"


class Call(NamedTuple):
    """One answer to ask for: samples count from 0, round 1 is the corrective one."""

    sample: int
    round: int
    variant: Variant

    def __str__(self) -> str:
        """As the Web UI shows it."""
        parts = [f"sample {self.sample + 1}"]
        parts += ["corrective round"] if self.round else []
        parts += ["without the text addressed to the grader"] if self.variant is Variant.STRIPPED else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRating:
    """What a model says of one criterion; nothing of it is checked yet."""

    criterion: str
    level: str
    rationale: str
    quotes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """A model's answer in the agreed form.

    `feedback` is for the student; `on_topic` is False for a text that deals with something other than the question.
    """

    ratings: tuple[GivenRating, ...]
    feedback: str
    on_topic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A reply that is no grading: refused, filtered, cut off, no JSON, another shape.

    `withheld`: the provider's filter or the model refuses this essay. The same request would be refused again.
    """

    problem: str
    withheld: bool = False


Reply: TypeAlias = Grading | Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A checked answer: a level for every criterion, and only quotes that the essay holds."""

    ratings: tuple[CriterionRating, ...]
    feedback: str
    on_topic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """What is wrong with an answer, as the corrective round tells the model."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscorable:
    """The model cannot grade the essay, and why: its replies were invalid, or the provider refuses the essay."""

    reason: DegradedReason = DegradedReason.ESSAY_ANSWER_REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a model is asked: an essay's `text` in one variant; in the corrective round what was wrong before."""

    essay: Essay
    text: str
    rejected: Rejected | None = None


def texts(essay: Essay) -> dict[Variant, str]:
    """What the model is shown of the essay: as it is and, where text addresses the grader, also without that."""
    stripped = without_address(essay.text)
    shown = {Variant.FULL: readable(essay.text)}
    return shown if stripped is None else {**shown, Variant.STRIPPED: stripped}


def judge(rubric: EssayRubric, text: str, reply: Reply) -> Accepted | Rejected:
    """Holds an answer to the rubric and to the text that the model was shown.

    Invalid are an unreadable answer, a missing, repeated or unknown criterion, an unknown level, and a level above
    the lowest without one quote that the text holds. Quotes it does not hold are dropped and cost confidence.
    """
    if isinstance(reply, Unreadable):
        return Rejected(problems=(Problem("answer", reply.problem),))
    reply = _without_labelled_wording(reply, rubric, text)
    given = {rating.criterion: rating for rating in reply.ratings}
    if len(given) != len(reply.ratings):
        return Rejected(problems=(Problem("criteria", "rates a criterion twice"),))
    try:
        points = rate(rubric, {key: rating.level for key, rating in given.items()})
    except InvalidInput as error:
        return Rejected(problems=error.problems)
    ratings = tuple(_rating(given[key], points[key], text) for key in points)
    unproven = tuple(
        Problem(rating.criterion, "names no quote that stands in the essay, word for word")
        for rating in ratings
        if rating.points > 0 and not rating.quotes
    )
    return Rejected(problems=unproven) if unproven else _accepted(ratings, reply)


def next_call(essay: Essay, replies: Mapping[Call, Reply], samples: int) -> Call | Accepted | Unscorable:
    """The answer to ask for next; what all of them say when there are enough; or that no answer will do.

    `replies` are those bought so far. Each of `samples` (>= 1) answers is asked for in every variant of the text.
    """
    accepted: list[Accepted] = []
    for variant, text in texts(essay).items():
        answers: list[Accepted] = []
        for sample in range(samples):
            match _sample(essay.rubric, text, replies, sample, variant):
                case Accepted() as answer:
                    answers.append(answer)
                case undecided:
                    return undecided
        accepted.append(_median(essay.rubric, answers))
    return min(accepted, key=lambda answer: essay_points(essay.rubric, answer.ratings).points)


def ask(essay: Essay, replies: Mapping[Call, Reply], call: Call) -> Ask:
    """What to send for a call; the corrective round repeats what was wrong with the first answer."""
    text = texts(essay)[call.variant]
    if call.round == 0:
        return Ask(essay=essay, text=text)
    verdict = judge(essay.rubric, text, replies[call._replace(round=0)])
    return Ask(essay=essay, text=text, rejected=verdict if isinstance(verdict, Rejected) else None)


def essay_score(essay: Essay, answer: Accepted, spent: Spent, *, model: str, prompt_version: str) -> EssayScore:
    """The score by the rubric's points; a person looks at whatever is flagged or doubtful."""
    points, max_points, fraction = essay_points(essay.rubric, answer.ratings)
    confidences = [Fraction(rating.confidence) for rating in answer.ratings]
    flags = text_flags(essay.text, essay.prompt, essay.rubric, essay.labelled)
    flags = flags if answer.on_topic else (*flags, UNRELATED)
    return EssayScore(
        snapshot_id=essay.snapshot_id,
        points=points,
        max_points=max_points,
        fraction=fraction,
        ratings=answer.ratings,
        feedback=answer.feedback,
        model=model,
        prompt_version=prompt_version,
        rubric_version=essay.rubric_version,
        confidence=rounded(sum(confidences, Fraction(0)) / len(confidences)),
        needs_review=any(flag != TOO_SHORT for flag in flags) or min(confidences) < REVIEW_BELOW,
        flags=flags,
        latency_ms=spent.latency_ms,
        cost_cents=spent.cost_cents,
    )


def _sample(
    rubric: EssayRubric, text: str, replies: Mapping[Call, Reply], sample: int, variant: Variant
) -> Call | Accepted | Unscorable:
    for number in range(ROUNDS):
        call = Call(sample, number, variant)
        if call not in replies:
            return call
        reply = replies[call]
        if isinstance(reply, Unreadable) and reply.withheld:
            return Unscorable(reason=DegradedReason.ESSAY_REFUSED_BY_PROVIDER)
        verdict = judge(rubric, text, reply)
        if isinstance(verdict, Accepted):
            return _less_sure(verdict, CORRECTED) if number else verdict
    return Unscorable()


def _rating(given: GivenRating, points: Decimal, text: str) -> CriterionRating:
    verified = verify_quotes(text, given.quotes)
    share = Fraction(len(verified), len(given.quotes)) if given.quotes else Fraction(1)
    return CriterionRating(
        criterion=given.criterion,
        level=given.level,
        points=points,
        rationale=given.rationale,
        quotes=verified,
        confidence=rounded(TRUSTED * share),
    )


def without_wording(reply: Grading, hidden: Runs) -> Grading:
    """The reply without the passages of its rationales and its feedback that consist of hidden runs of words."""

    def shown(text: str) -> str:
        return text and (without_runs(text, hidden) or NOT_SHOWN)

    ratings = tuple(replace(each, rationale=shown(each.rationale)) for each in reply.ratings)
    return replace(reply, ratings=ratings, feedback=shown(reply.feedback))


def _without_labelled_wording(reply: Grading, rubric: EssayRubric, text: str) -> Grading:
    """Students must not see labelled answers or criterion descriptions. What the essay itself says is no secret."""
    secrets = [*(anchor.text for anchor in rubric.anchors), *(each.description for each in rubric.criteria)]
    return without_wording(reply, cached_runs_of(*secrets) - runs_of(text))


def _accepted(ratings: tuple[CriterionRating, ...], reply: Grading) -> Accepted:
    return Accepted(ratings=ratings, feedback=reply.feedback, on_topic=reply.on_topic)


def _less_sure(answer: Accepted, factor: Fraction) -> Accepted:
    return replace(answer, ratings=tuple(_scaled(rating, factor) for rating in answer.ratings))


def _scaled(rating: CriterionRating, factor: Fraction) -> CriterionRating:
    return replace(rating, confidence=rounded(Fraction(rating.confidence) * factor))


def _median(rubric: EssayRubric, answers: Sequence[Accepted]) -> Accepted:
    """Per criterion the median level (the lower of two), as the first answer that gave it says it.

    The share of answers that gave it is what remains of its confidence.
    """
    ratings = []
    for place, criterion in enumerate(rubric.criteria):
        order = [level.name for level in criterion.levels]
        given = [answer.ratings[place] for answer in answers]
        level = order[median_low(order.index(rating.level) for rating in given)]
        agreeing = [rating for rating in given if rating.level == level]
        ratings.append(_scaled(agreeing[0], Fraction(len(agreeing), len(given))))
    levels = [rating.level for rating in ratings]
    nearest = max(answers, key=lambda answer: sum(map(eq, (each.level for each in answer.ratings), levels)))
    return Accepted(
        ratings=tuple(ratings), feedback=nearest.feedback, on_topic=all(answer.on_topic for answer in answers)
    )
