"""Grading by a language model: which answer to ask for next, what an answer is worth, and when to stop asking.

The model gives levels and quotes. Points come from the rubric; quotes count only if the essay holds them.

The model also quotes text that addresses the grader (prompt injection), in whatever language. If the essay holds that
text, the essay is graded without it too, the lower grade counts, and a person reviews it. If too little is left to
grade, the person grades.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from operator import eq
from statistics import median_low
from typing import Final, NamedTuple, TypeAlias

from domain.assessments.questions import EssayRubric
from domain.decimals import rounded
from domain.errors import InvalidInput, Problem
from domain.grading.essay_text import ADDRESSED_TO_GRADER, TEXT_FLAGS, TOO_SHORT, sanitize, still_answers, text_flags
from domain.grading.rubrics import Essay, essay_points, rate, verify_quotes, without_quotes
from domain.grading.scores import UNRELATED, CriterionRating, DegradedReason, EssayScore, Spent
from domain.grading.wording import Runs, cached_runs_of, runs_of, without_runs

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
    """The essay as it is, or without the text that addresses the grader, as the model quoted it."""

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
class RawRating:
    """What a model says of one criterion; nothing of it is checked yet."""

    criterion: str
    level: str
    rationale: str
    quotes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """A model's answer in the agreed form.

    `feedback` is for the student; `on_topic` is False for a text that deals with something other than the question;
    `addresses_grader` are quotes of text that addresses the grader.
    """

    ratings: tuple[RawRating, ...]
    feedback: str
    on_topic: bool = True
    addresses_grader: tuple[str, ...] = ()


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
    addressed: bool = False
    """Whether the essay addresses the grader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """What is wrong with an answer, as the corrective round tells the model."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscorable:
    """The model cannot grade the essay, and why: its replies were invalid, or the provider refuses the essay."""

    reason: DegradedReason = DegradedReason.ESSAY_ANSWER_REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToPerson:
    """The essay addresses the grader, and without that text it cannot be graded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingRequest:
    """What a model is asked: an essay's `text` in one variant; in the corrective round what was wrong before."""

    essay: Essay
    text: str
    rejected: Rejected | None = None


def validate_reply(rubric: EssayRubric, text: str, reply: Reply) -> Accepted | Rejected:
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


def next_call(essay: Essay, replies: Mapping[Call, Reply], samples: int) -> Call | Accepted | LeftToPerson | Unscorable:
    """The answer to ask for next; what all of them say when there are enough; or that no answer will do.

    `replies` are those bought so far. Each of `samples` (>= 1) answers is asked for in every variant of the text.
    """
    full = _graded(essay, replies, samples, Variant.FULL)
    addressed = bool(_addressed(essay, replies))
    match full:
        case Accepted() if addressed and _points(essay, full):
            return _with_and_without(essay, replies, samples, full)
        case Accepted():
            return replace(full, addressed=addressed)
        case Unscorable() if addressed:
            return LeftToPerson()
        case undecided:
            return undecided


def build_request(essay: Essay, replies: Mapping[Call, Reply], call: Call) -> GradingRequest:
    """What to send for a call; the corrective round repeats what was wrong with the first answer."""
    text = _text(essay, replies, call.variant)
    if call.round == 0:
        return GradingRequest(essay=essay, text=text)
    verdict = validate_reply(essay.rubric, text, replies[call._replace(round=0)])
    return GradingRequest(essay=essay, text=text, rejected=verdict if isinstance(verdict, Rejected) else None)


def essay_score(
    essay: Essay, answer: Accepted | LeftToPerson, spent: Spent, *, model: str, prompt_version: str
) -> EssayScore:
    """The score by the rubric's points; a person reviews an essay that is flagged or doubtful."""
    flags = text_flags(essay.text, essay.prompt, essay.rubric, essay.labelled)
    ungraded = EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="A reviewer will grade this answer: a part of it is addressed to the grader.",
        model=model,
        prompt_version=prompt_version,
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
        flags=_with_addressed(flags),
        latency_ms=spent.latency_ms,
        cost_cents=spent.cost_cents,
    )
    return ungraded if isinstance(answer, LeftToPerson) else _scored(ungraded, essay, answer, flags)


def _scored(ungraded: EssayScore, essay: Essay, answer: Accepted, flags: tuple[str, ...]) -> EssayScore:
    points, _, fraction = essay_points(essay.rubric, answer.ratings)
    confidences = [Fraction(rating.confidence) for rating in answer.ratings]
    flags = _with_addressed(flags) if answer.addressed else flags
    flags = flags if answer.on_topic else (*flags, UNRELATED)
    return replace(
        ungraded,
        points=points,
        fraction=fraction,
        ratings=answer.ratings,
        feedback=answer.feedback,
        confidence=rounded(sum(confidences, Fraction(0)) / len(confidences)),
        needs_review=any(flag != TOO_SHORT for flag in flags) or min(confidences) < REVIEW_BELOW,
        flags=flags,
    )


def _with_addressed(flags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(flag for flag in TEXT_FLAGS if flag in {*flags, ADDRESSED_TO_GRADER})


def _graded(
    essay: Essay, replies: Mapping[Call, Reply], samples: int, variant: Variant
) -> Call | Accepted | Unscorable:
    """What the samples of one variant say together, or the call that is missing."""
    text = _text(essay, replies, variant)
    answers: list[Accepted] = []
    for sample in range(samples):
        match _sample(essay.rubric, text, replies, sample, variant):
            case Accepted() as answer:
                answers.append(answer)
            case undecided:
                return undecided
    return _median(essay.rubric, answers)


def _with_and_without(
    essay: Essay, replies: Mapping[Call, Reply], samples: int, full: Accepted
) -> Call | Accepted | LeftToPerson:
    """The lower grade of the essay with and without the text that addresses the grader."""
    left = _text(essay, replies, Variant.STRIPPED)
    if not still_answers(left, sanitize(essay.text), essay.rubric, essay.labelled):
        return LeftToPerson()
    match _graded(essay, replies, samples, Variant.STRIPPED):
        case Accepted(on_topic=True) as stripped:
            lower = min(full, stripped, key=lambda answer: _points(essay, answer))
            return replace(lower, ratings=_explained(lower, full, stripped), addressed=True)
        case Call() as call:
            return call
        case _:
            return LeftToPerson()


def _explained(lower: Accepted, full: Accepted, stripped: Accepted) -> tuple[CriterionRating, ...]:
    """The ratings of the lower answer; their rationales name the levels of both."""
    levels = zip(lower.ratings, full.ratings, stripped.ratings, strict=True)
    return tuple(
        replace(
            rating,
            rationale=f"{rating.rationale} (Level with the text that addresses the grader: {with_it.level}; "
            f"without it: {without.level}. The lower grade counts.)",
        )
        for rating, with_it, without in levels
    )


def _text(essay: Essay, replies: Mapping[Call, Reply], variant: Variant) -> str:
    text = sanitize(essay.text)
    return text if variant is Variant.FULL else without_quotes(text, _addressed(essay, replies))


def _addressed(essay: Essay, replies: Mapping[Call, Reply]) -> tuple[str, ...]:
    """What the replies about the full text quote as addressed to the grader, as far as the essay holds it.

    It follows from the stored replies alone, so that a retry asks about the same text.
    """
    full = sorted(call for call in replies if call.variant is Variant.FULL)
    gradings = [reply for call in full if isinstance(reply := replies[call], Grading)]
    quotes = (quote for grading in gradings for quote in grading.addresses_grader)
    return verify_quotes(sanitize(essay.text), dict.fromkeys(quotes))


def _points(essay: Essay, answer: Accepted) -> Decimal:
    return essay_points(essay.rubric, answer.ratings).points


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
        verdict = validate_reply(rubric, text, reply)
        if isinstance(verdict, Accepted):
            return _less_sure(verdict, CORRECTED) if number else verdict
    return Unscorable()


def _rating(given: RawRating, points: Decimal, text: str) -> CriterionRating:
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
