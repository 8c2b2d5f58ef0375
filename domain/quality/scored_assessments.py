"""Completed assessments with the scores of their items, as item analysis and fairness use them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID


class ItemVersion(NamedTuple):
    """A question with the version that was asked. Another version is another item, because wording or key differ."""

    question_id: UUID
    version: str


class ScoredItem(NamedTuple):
    """An item and its points; None if it waits for its first grade. `max_points` is 0 for profile questions.

    An unanswered item has 0 points and `answered` False. `chosen` are the choices of the answer, empty for other kinds
    and if the answer was deleted.
    """

    item: ItemVersion
    points: float | None
    max_points: float
    answered: bool = True
    chosen: tuple[str, ...] = ()

    @property
    def gives_points(self) -> bool:
        return self.max_points > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAssessment:
    """A student's completed assessment. `groups` has the student's group for each attribute that is stored."""

    items: tuple[ScoredItem, ...]
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_graded(self) -> bool:
        """Whether every item has its points."""
        return all(item.points is not None for item in self.items)

    @property
    def points(self) -> float:
        """The sum of the points so far."""
        return sum(item.points or 0 for item in self.items)

    @property
    def max_points(self) -> float:
        return sum(item.max_points for item in self.items)
