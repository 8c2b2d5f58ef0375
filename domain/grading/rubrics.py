"""Rubric arithmetic: convert a grader's levels to points, and verify its quotes."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple
from uuid import UUID

from domain.assessments.questions import Anchor, EssayRubric, Item
from domain.decimals import rounded
from domain.errors import CorruptData, InvalidInput, Problem
from domain.grading.copies import OtherAnswers
from domain.grading.essay_text import sentences
from domain.grading.scores import CriterionRating, DegradedReason, EssayScore, Spent
from domain.organizations import REVIEW_TARGET_KAPPA
from domain.unicode_text import latin_length, nfkc

MIN_QUOTE_WORDS: Final = 3
MIN_QUOTE_CHARS: Final = 12
"""A quote shorter than both limits is no evidence, because any text may contain it. Characters are counted by
`latin_length`: in Chinese, four characters can be a clause."""

SIMILAR_MARKS: Final = str.maketrans(
    dict.fromkeys("‘’‚‛′‵´`ʹʼ‹›", "'") | dict.fromkeys("“”„‟″‶«»", '"') | dict.fromkeys("‐‑‒–—―−﹘﹣", "-")
)
"""Quotation marks and dashes that a grader may replace when it copies a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A reviewed answer of another student to the same question, as a language model sees it. Names are masked."""

    review_id: UUID
    text: str
    levels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Essay:
    """An essay to grade: the text (never empty), its question and its rubric.

    `labelled` are answers of other students to the same question, with levels set by reviewers; the local grader uses
    them. `examples` are those that a language model sees. `review_target_kappa` is the agreement with reviewers
    (quadratic kappa) that the organization asks of local grades without a review. `others` are earlier answers that
    it may be copied from.
    """

    snapshot_id: UUID
    prompt: str
    rubric: EssayRubric
    rubric_version: str
    text: str
    labelled: tuple[Anchor, ...] = ()
    examples: tuple[Example, ...] = ()
    review_target_kappa: float = REVIEW_TARGET_KAPPA
    others: OtherAnswers = field(default_factory=OtherAnswers)


class EssayPoints(NamedTuple):
    """The points, the maximum, and the share of the maximum (0..1, four decimal places)."""

    points: Decimal
    max_points: Decimal
    fraction: Decimal


def rate(rubric: EssayRubric, levels: Mapping[str, str]) -> dict[str, Decimal]:
    """Return the points by criterion key, in the rubric's order. `levels` has level names by criterion key.

    Raises:
        InvalidInput: a criterion or a level is missing or unknown. Each problem names its criterion.
    """
    known = {criterion.key: {level.name: level.points for level in criterion.levels} for criterion in rubric.criteria}
    problems = [Problem(key, "needs a level") for key in known if key not in levels]
    problems += [
        Problem(key, f"must be one of {', '.join(known[key])}" if key in known else "is not a criterion of the rubric")
        for key, level in levels.items()
        if level not in known.get(key, ())
    ]
    if problems:
        raise InvalidInput("The levels do not fit the rubric", tuple(problems))
    return {key: points[levels[key]] for key, points in known.items()}


def essay_points(rubric: EssayRubric, ratings: Iterable[CriterionRating]) -> EssayPoints:
    """Calculate the essay's points from the levels of the ratings. Points in the ratings are ignored.

    Raises:
        InvalidInput: as for `rate`, or a criterion is rated twice.
    """
    points = sum(rate(rubric, _levels(ratings)).values(), Decimal(0))
    return EssayPoints(points, rubric.max_points, rounded(Fraction(points) / Fraction(rubric.max_points)))


def check_essay_score(rubric: EssayRubric, score: EssayScore) -> None:
    """Check that a score follows the rubric: each criterion is rated once, with a known level and the rubric's points.

    An abstention has no points and no fraction, and needs a review.

    Raises:
        InvalidInput: the score breaks one of these rules.
    """
    if score.points is None:
        if score.fraction is not None or not score.needs_review:
            raise InvalidInput("An abstention has no fraction and needs a review")
        return
    given = {rating.criterion: rating.points for rating in score.ratings}
    if given != rate(rubric, _levels(score.ratings)):
        raise InvalidInput("The points of the ratings differ from the rubric")
    if (score.points, score.max_points, score.fraction) != essay_points(rubric, score.ratings):
        raise InvalidInput("The points of the score differ from the sum of its ratings")


def verify_quotes(text: str, quotes: Iterable[str]) -> tuple[str, ...]:
    """Return the quotes that `text` contains and that are long enough, or equal the whole text, unchanged.

    Both sides are compared in NFKC, with one kind of quotation mark and dash, and with single spaces. Case matters,
    because a grader must copy the text.
    """
    body = normalized(text)
    return tuple(quote for quote in quotes if _is_evidence(normalized(quote), body))


def without_quotes(text: str, quotes: Iterable[str]) -> str:
    """Remove the quoted passages from the text, and each sentence of which at least half is quoted."""
    letters, places = _letters(text)
    quoted = bytearray(len(text))
    for quote in quotes:
        wanted, _ = _letters(quote)
        end = 0
        while wanted and (start := letters.find(wanted, end)) >= 0:
            end = start + len(wanted)
            first, last = places[start], places[end - 1] + 1
            quoted[first:last] = b"\1" * (last - first)
    left, begin = [], 0
    for sentence in sentences(text):
        marked = quoted[begin : begin + len(sentence)]
        begin += len(sentence)
        if 2 * sum(marked) < len(sentence):
            left.append("".join(letter for letter, drop in zip(sentence, marked, strict=True) if not drop))
    return "".join(left).strip()


def unanswered_essay(item: Item) -> EssayScore:
    """Return the score of an unanswered essay: the lowest level of every criterion. It needs no review.

    Raises:
        CorruptData: the item is not an essay.
    """
    rubric = item.question.rubric
    if not isinstance(rubric, EssayRubric):
        raise CorruptData(f"Item {item.snapshot_id} is not an essay")
    return EssayScore(
        snapshot_id=item.snapshot_id,
        points=Decimal(0),
        max_points=rubric.max_points,
        fraction=Decimal(0),
        ratings=tuple(
            CriterionRating(
                criterion=criterion.key, level=criterion.levels[0].name, points=Decimal(0), rationale="Not answered."
            )
            for criterion in rubric.criteria
        ),
        feedback="You did not answer this question, so it gives 0 points.",
        model="none",
        prompt_version="none",
        rubric_version=item.question.version,
        confidence=Decimal(1),
        needs_review=False,
    )


def ungraded_essay(essay: Essay, spent: Spent | None = None) -> EssayScore:
    """Return the abstention for an essay that no grader can grade. `spent` is the cost of its model calls so far."""
    return EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="This answer has not been graded yet. A reviewer will grade it.",
        model="none",
        prompt_version="none",
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
        degraded_reason=DegradedReason.GRADER_FAILED,
        latency_ms=spent.latency_ms if spent else 0,
        cost_cents=spent.cost_cents if spent else Decimal(0),
    )


def _levels(ratings: Iterable[CriterionRating]) -> dict[str, str]:
    levels: dict[str, str] = {}
    for rating in ratings:
        if rating.criterion in levels:
            raise InvalidInput("A criterion is rated twice", (Problem(rating.criterion, "is rated twice"),))
        levels[rating.criterion] = rating.level
    return levels


def normalized(text: str) -> str:
    """Return the form in which a quote and a text are compared. `domain.grading.quotes` maps it to the text."""
    return " ".join(nfkc(text.translate(SIMILAR_MARKS)).split())


def _letters(text: str) -> tuple[str, list[int]]:
    """Return the text in NFKD without white space, and the position of each letter in the original text."""
    found = [
        (letter, place)
        for place, character in enumerate(text.translate(SIMILAR_MARKS))
        for letter in unicodedata.normalize("NFKD", character)
        if not letter.isspace()
    ]
    return "".join(letter for letter, _ in found), [place for _, place in found]


def _is_evidence(quote: str, body: str) -> bool:
    """Return whether the text contains the quote, and the quote is long enough or is the whole text."""
    long_enough = latin_length(quote) >= MIN_QUOTE_CHARS or len(quote.split()) >= MIN_QUOTE_WORDS
    return (long_enough and quote in body) or (bool(quote) and quote == body)
