"""Grading by a language model: the next call to make, and the validation of replies.

The model returns levels and quotes. Points come from the rubric; a quote counts only if the essay contains it.

The model also quotes text that addresses the grader (prompt injection), in any language. If the essay contains that
text, the essay is also graded without it, the lower grade counts, and a reviewer checks it. If too little text is left
to grade, the reviewer grades the essay.

Every essay gets the same number of samples. If a low confidence is the only reason for a review, the model grades the
essay again.
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
from domain.grading.copies import COPIED_ANSWER, find_copies
from domain.grading.essay_text import ADDRESSED_TO_GRADER, TEXT_FLAGS, TOO_SHORT, sanitize, still_answers, text_flags
from domain.grading.model_calibration import UNCALIBRATED, Calibration, is_unsure
from domain.grading.rubrics import Essay, Example, essay_points, rate, verify_quotes, without_quotes
from domain.grading.scores import UNRELATED, CriterionRating, DegradedReason
from domain.grading.wording import Runs, cached_runs_of, runs_of, without_runs

TRUSTED: Final = Fraction(9, 10)
"""The confidence of a single valid reply before calibration, an assumption."""
CORRECTED: Final = Fraction(17, 20)
"""The factor on the confidence of a reply from the corrective round."""
ROUNDS: Final = 2
"""The first round and the corrective round."""

NOT_SHOWN: Final = "This comment is not shown because it repeated confidential grading material."


class Variant(StrEnum):
    """The full essay, or the essay without the text that the model quoted as addressed to the grader."""

    FULL = "full"
    STRIPPED = "stripped"


class Call(NamedTuple):
    """A model call for an essay. Samples count from 0; round 1 is the corrective round."""

    sample: int
    round: int
    variant: Variant

    def __str__(self) -> str:
        """Format the call for the Web UI."""
        parts = [f"sample {self.sample + 1}"]
        parts += ["corrective round"] if self.round else []
        parts += ["without the text addressed to the grader"] if self.variant is Variant.STRIPPED else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRating:
    """A model's rating of a criterion before validation."""

    criterion: str
    level: str
    rationale: str
    quotes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """A parsed reply of the model.

    `feedback` is for the student. `on_topic` is False for a text that does not deal with the question.
    `addresses_grader` are quotes of text that addresses the grader.
    """

    ratings: tuple[RawRating, ...]
    feedback: str
    on_topic: bool = True
    addresses_grader: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A reply that cannot be parsed: refused, filtered, truncated, not JSON, or not of the expected schema.

    `withheld`: the provider's filter or the model refuses this essay, and would refuse the same request again.
    """

    problem: str
    withheld: bool = False


Reply: TypeAlias = Grading | Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A valid grading: a level for every criterion, and only quotes that the essay contains."""

    ratings: tuple[CriterionRating, ...]
    feedback: str
    on_topic: bool = True
    addressed: bool = False
    """Whether the essay addresses the grader."""
    calibration: str = ""
    """The version of the calibration of the confidences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The problems of an invalid reply. The corrective round sends them to the model."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscorable:
    """The model cannot grade the essay. `reason`: its replies were invalid, or the provider refuses the essay."""

    reason: DegradedReason = DegradedReason.ESSAY_ANSWER_REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToPerson:
    """The essay addresses the grader and cannot be graded without that text, so a reviewer must grade it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreSamples:
    """The most samples of a doubtful essay. `calibration` decides whether it is doubtful."""

    most: int = 1
    calibration: Calibration = UNCALIBRATED


NO_MORE: Final = MoreSamples()


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingRequest:
    """A request to the model: `text` is one variant of the essay, `rejected` the problems of the first reply."""

    essay: Essay
    text: str
    rejected: Rejected | None = None


def validate_reply(
    rubric: EssayRubric, text: str, reply: Reply, examples: Sequence[Example] = ()
) -> Accepted | Rejected:
    """Validate a reply against the rubric and the text that the model received.

    A reply is invalid if it is unreadable, if a criterion is missing, repeated or unknown, if a level is unknown, or if
    a level above the lowest has no quote that the text contains. Other quotes that the text does not contain are
    removed and reduce the confidence.
    """
    if isinstance(reply, Unreadable):
        return Rejected(problems=(Problem("answer", reply.problem),))
    reply = _without_secret_wording(reply, rubric, text, examples)
    given = {rating.criterion: rating for rating in reply.ratings}
    if len(given) != len(reply.ratings):
        return Rejected(problems=(Problem("criteria", "rates a criterion twice"),))
    try:
        points = rate(rubric, {key: rating.level for key, rating in given.items()})
    except InvalidInput as error:
        return Rejected(problems=error.problems)
    ratings = tuple(_rating(given[key], points[key], text) for key in points)
    unproven = tuple(
        Problem(rating.criterion, "has no quote that is in the essay word for word")
        for rating in ratings
        if rating.points > 0 and not rating.quotes
    )
    return Rejected(problems=unproven) if unproven else _accepted(ratings, reply)


def next_call(
    essay: Essay, replies: Mapping[Call, Reply], samples: int, more: MoreSamples = NO_MORE
) -> Call | Accepted | LeftToPerson | Unscorable:
    """Return the next call to make, the combined grading once all replies are there, or why there is no grading.

    `replies` has the replies so far. Each of the `samples` (>= 1) is made for every variant of the text. A further
    sample whose replies are invalid ends the sampling: the grading of the samples before it counts.
    """
    due = _next(essay, replies, samples, more)
    return _calibrated(essay, due, more.calibration) if isinstance(due, Accepted) else due


def _next(
    essay: Essay, replies: Mapping[Call, Reply], samples: int, more: MoreSamples
) -> Call | Accepted | LeftToPerson | Unscorable:
    full = _graded(essay, replies, samples, Variant.FULL, more)
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
    """Build the request of a call. The corrective round includes the problems of the first reply."""
    text = _text(essay, replies, call.variant)
    if call.round == 0:
        return GradingRequest(essay=essay, text=text)
    verdict = validate_reply(essay.rubric, text, replies[call._replace(round=0)], essay.examples)
    return GradingRequest(essay=essay, text=text, rejected=verdict if isinstance(verdict, Rejected) else None)


def flags_of(essay: Essay, answer: Accepted | LeftToPerson) -> tuple[str, ...]:
    """Return the flags of the text and of its grading."""
    flags = text_flags(essay.text, essay.prompt, essay.rubric, essay.labelled)
    if find_copies(essay.text, essay.prompt, essay.rubric, essay.others):
        flags = (*flags, COPIED_ANSWER)
    if isinstance(answer, LeftToPerson) or answer.addressed:
        flags = tuple(flag for flag in (*TEXT_FLAGS, COPIED_ANSWER) if flag in {*flags, ADDRESSED_TO_GRADER})
    return flags if isinstance(answer, LeftToPerson) or answer.on_topic else (*flags, UNRELATED)


def cause_review(flags: Sequence[str]) -> bool:
    return any(flag != TOO_SHORT for flag in flags)


def _is_doubtful(essay: Essay, answer: Accepted, calibration: Calibration) -> bool:
    """Return whether only a low confidence causes a review. If a flag causes one, more samples cannot prevent it."""
    return is_unsure(_calibrated(essay, answer, calibration).ratings) and not cause_review(flags_of(essay, answer))


def _calibrated(essay: Essay, answer: Accepted, calibration: Calibration) -> Accepted:
    ratings = calibration.ratings(essay.rubric_version, answer.ratings)
    return replace(answer, ratings=ratings, calibration=calibration.version)


def _graded(
    essay: Essay, replies: Mapping[Call, Reply], samples: int, variant: Variant, more: MoreSamples = NO_MORE
) -> Call | Accepted | Unscorable:
    """Return the combined grading of the samples of one variant, or the next call to make.

    A further sample counts as soon as it has a reply, so that a later calibration does not discard a paid reply.
    """
    text = _text(essay, replies, variant)
    addressed = bool(_addressed(essay, replies))
    answers: list[Accepted] = []
    for sample in range(max(samples, more.most)):
        if sample >= samples and Call(sample, 0, variant) not in replies:
            combined = replace(_median(essay.rubric, answers), addressed=addressed)
            if not _is_doubtful(essay, combined, more.calibration):
                break
        match _sample(essay, text, replies, sample, variant):
            case Accepted() as answer:
                answers.append(answer)
            case Unscorable() if sample >= samples:
                break
            case undecided:
                return undecided
    return _median(essay.rubric, answers)


def _with_and_without(
    essay: Essay, replies: Mapping[Call, Reply], samples: int, full: Accepted
) -> Call | Accepted | LeftToPerson:
    """Return the lower of the gradings with and without the text that addresses the grader."""
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
    """Return the ratings of the lower grading. Their rationales name the levels of both gradings."""
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
    """Return the quotes of text addressed to the grader, from replies about the full text, that the essay contains.

    The result depends only on stored replies, so a retry sends the same text.
    """
    full = sorted(call for call in replies if call.variant is Variant.FULL)
    gradings = [reply for call in full if isinstance(reply := replies[call], Grading)]
    quotes = (quote for grading in gradings for quote in grading.addresses_grader)
    return verify_quotes(sanitize(essay.text), dict.fromkeys(quotes))


def _points(essay: Essay, answer: Accepted) -> Decimal:
    return essay_points(essay.rubric, answer.ratings).points


def _sample(
    essay: Essay, text: str, replies: Mapping[Call, Reply], sample: int, variant: Variant
) -> Call | Accepted | Unscorable:
    for number in range(ROUNDS):
        call = Call(sample, number, variant)
        if call not in replies:
            return call
        reply = replies[call]
        if isinstance(reply, Unreadable) and reply.withheld:
            return Unscorable(reason=DegradedReason.ESSAY_REFUSED_BY_PROVIDER)
        verdict = validate_reply(essay.rubric, text, reply, essay.examples)
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
    """Return the reply with hidden runs of words removed from its rationales and feedback."""

    def shown(text: str) -> str:
        return text and (without_runs(text, hidden) or NOT_SHOWN)

    ratings = tuple(replace(each, rationale=shown(each.rationale)) for each in reply.ratings)
    return replace(reply, ratings=ratings, feedback=shown(reply.feedback))


def _without_secret_wording(reply: Grading, rubric: EssayRubric, text: str, examples: Sequence[Example]) -> Grading:
    """Remove the wording of labelled answers, examples and criterion descriptions, which students must not see.

    Wording that is also in the essay stays.
    """
    secrets = [*(anchor.text for anchor in rubric.anchors), *(each.description for each in rubric.criteria)]
    hidden = cached_runs_of(*secrets) | runs_of(*(example.text for example in examples))
    return without_wording(reply, hidden - runs_of(text))


def _accepted(ratings: tuple[CriterionRating, ...], reply: Grading) -> Accepted:
    return Accepted(ratings=ratings, feedback=reply.feedback, on_topic=reply.on_topic)


def _less_sure(answer: Accepted, factor: Fraction) -> Accepted:
    return replace(answer, ratings=tuple(_scaled(rating, factor) for rating in answer.ratings))


def _scaled(rating: CriterionRating, factor: Fraction) -> CriterionRating:
    return replace(rating, confidence=rounded(Fraction(rating.confidence) * factor))


def _median(rubric: EssayRubric, answers: Sequence[Accepted]) -> Accepted:
    """Combine gradings: for each criterion, take the surest rating with the median level (the lower of two).

    Of equally sure ratings the first one counts. Its confidence is multiplied by the share of gradings with that level.
    It names the levels of all gradings.
    """
    ratings = []
    for place, criterion in enumerate(rubric.criteria):
        order = [level.name for level in criterion.levels]
        given = [answer.ratings[place] for answer in answers]
        level = order[median_low(order.index(rating.level) for rating in given)]
        agreeing = [rating for rating in given if rating.level == level]
        surest = max(agreeing, key=lambda rating: rating.confidence)
        chosen = _scaled(surest, Fraction(len(agreeing), len(given)))
        ratings.append(replace(chosen, sample_levels=tuple(rating.level for rating in given)))
    levels = [rating.level for rating in ratings]
    nearest = max(answers, key=lambda answer: sum(map(eq, (each.level for each in answer.ratings), levels)))
    return Accepted(
        ratings=tuple(ratings), feedback=nearest.feedback, on_topic=all(answer.on_topic for answer in answers)
    )
