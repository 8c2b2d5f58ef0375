"""Prepare an essay for a reviewer: the answer in segments with numbered quotes, and the rubric with its ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from api.schemas.results import ItemScore
from api.services.assessed_items import AssessedItem
from domain.assessments.questions import Criterion, EssayRubric
from domain.errors import NotFound
from domain.grading.quotes import LocatedQuote

_EVERY_FIELD: Final = dict.fromkeys(ItemScore.model_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of the answer. `quoted_for` has the numbers of the criteria that quote it; `ends` those that end here."""

    text: str
    quoted_for: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedCriterion:
    """A criterion with the published rating, None without one. `chosen` is the level that the form shows."""

    number: int
    criterion: Criterion
    rating: Mapping[str, Any] | None
    chosen: str | None
    unplaced: tuple[str, ...]
    sample_levels: tuple[str, ...]

    @property
    def published(self) -> str | None:
        """The published level; None if the grader abstained."""
        return self.rating["level"] if self.rating else None

    @property
    def is_split(self) -> bool:
        """Whether the samples of the language model disagree."""
        return len(set(self.sample_levels)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayView:
    item: AssessedItem
    segments: tuple[Segment, ...]
    criteria: tuple[RatedCriterion, ...]

    @property
    def score(self) -> Mapping[str, Any]:
        return score_of(self.item)

    @property
    def has_levels(self) -> bool:
        """Whether there are published levels that a reviewer can confirm."""
        return self.score.get("points") is not None and all(each.rating for each in self.criteria)


def score_of(item: AssessedItem) -> Mapping[str, Any]:
    """Return the score with every field that a score can have. Fields without a value are None."""
    return _EVERY_FIELD | dict(item.score or {})


def essay_view(item: AssessedItem, chosen: Mapping[str, str] | None = None) -> EssayView:
    """Build the view. `chosen` are levels that a reviewer has entered; None shows the published levels.

    Raises:
        NotFound: the item is not an essay.
    """
    rubric = item.item.question.rubric
    if not isinstance(rubric, EssayRubric):
        raise NotFound("Only essays are reviewed")
    ratings = {each["criterion"]: each for each in (item.score or {}).get("criteria") or ()}
    levels = {key: each["level"] for key, each in ratings.items()} if chosen is None else chosen
    criteria = tuple(
        RatedCriterion(
            number=number,
            criterion=criterion,
            rating=ratings.get(criterion.key),
            chosen=levels.get(criterion.key),
            unplaced=tuple(each.text for each in item.quotes.get(criterion.key, ()) if each.start is None),
            sample_levels=item.sample_levels.get(criterion.key, ()),
        )
        for number, criterion in enumerate(rubric.criteria, 1)
    )
    answer = item.item.answer if isinstance(item.item.answer, str) else ""
    quotes = {each.number: item.quotes.get(each.criterion.key, ()) for each in criteria}
    return EssayView(item=item, segments=segments(answer, quotes), criteria=criteria)


def segments(answer: str, quotes: Mapping[int, Sequence[LocatedQuote]]) -> tuple[Segment, ...]:
    """Split the answer where quotes start and end. Quotes of several criteria may overlap."""
    placed = [
        (each.start, each.end, number)
        for number, found in quotes.items()
        for each in found
        if each.start is not None and each.end is not None
    ]
    cuts = sorted({0, len(answer), *(start for start, _, _ in placed), *(end for _, end, _ in placed)})
    return tuple(
        Segment(
            text=answer[start:end],
            quoted_for=tuple(sorted({number for first, last, number in placed if first <= start and end <= last})),
            ends=tuple(sorted({number for _, last, number in placed if last == end})),
        )
        for start, end in pairwise(cuts)
    )
