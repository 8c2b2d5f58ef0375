"""Choose which labelled answers a grader sees and which it grades."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import numpy as np

from domain.assessments.questions import Anchor, EssayRubric
from domain.grading.ports import EssayGrader
from domain.grading.rubrics import Essay
from domain.grading.scores import EssayScore
from domain.ids import content_hash, derived_id
from tests.evaluation.agreement import Judged
from tests.evaluation.labelled_sets import LabelledItem

ALL_OTHERS: Final = "all"
"""Leave-one-out: every answer is graded once, with all other answers shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """`shown` is the number of labelled answers of the item that a grader sees; None means all but the graded one.

    `splits` is the number of random choices with the seeds 0, 1, ...; leave-one-out needs one. At most `graded` answers
    of an item are graded in each.
    """

    shown: int | None
    splits: int = 20
    graded: int | None = None

    @property
    def name(self) -> str:
        return ALL_OTHERS if self.shown is None else str(self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An answer to grade in a trial, by its index in the item, and its essay."""

    item: LabelledItem
    trial: int
    answer: int
    essay: Essay

    def judged(self, score: EssayScore) -> Judged:
        levels = _levels(self.item.rubric, {rating.criterion: rating.level for rating in score.ratings})
        return Judged(
            item=self.item.key,
            trial=self.trial,
            answer=self.answer,
            true=_levels(self.item.rubric, self.item.answers[self.answer].levels),
            given=() if score.points is None else levels,
            confidences=() if score.points is None else tuple(float(rating.confidence) for rating in score.ratings),
            confidence=float(score.confidence),
            to_review=score.needs_review,
            latency_ms=score.latency_ms,
            cost_cents=score.cost_cents,
        )


def questions(item: LabelledItem, protocol: Protocol) -> Iterator[Question]:
    """Yield everything to grade of an item; nothing if it has no more than `shown` answers."""
    count = len(item.answers)
    if protocol.shown is None:
        for place in _order(count, 0)[: protocol.graded]:
            yield _question(item, 0, [other for other in range(count) if other != place], place)
        return
    for trial in range(protocol.splits):
        order = _order(count, trial)
        for place in order[protocol.shown :][: protocol.graded]:
            yield _question(item, trial, order[: protocol.shown], place)


async def grade(grader: EssayGrader, asked: Sequence[Question]) -> list[Judged]:
    scores = await grader.grade([each.essay for each in asked])
    return [each.judged(score) for each, score in zip(asked, scores, strict=True)]


def _order(count: int, seed: int) -> list[int]:
    order: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    return order


def _question(item: LabelledItem, trial: int, shown: Sequence[int], place: int) -> Question:
    known = tuple(item.answers[other] for other in shown)
    essay = _essay(item, known, item.answers[place].text, derived_id("evaluation", item.key, trial, place))
    return Question(item=item, trial=trial, answer=place, essay=essay)


def _essay(item: LabelledItem, known: tuple[Anchor, ...], text: str, snapshot_id: UUID) -> Essay:
    rubric = replace(item.rubric, anchors=known) if item.own else item.rubric
    return Essay(
        snapshot_id=snapshot_id,
        prompt=item.prompt,
        rubric=rubric,
        rubric_version=content_hash([item.key, [each.text for each in rubric.anchors]]),
        text=text,
        labelled=() if item.own else known,
    )


def _levels(rubric: EssayRubric, levels: Mapping[str, str]) -> tuple[int, ...]:
    """Return indices from 0 in the rubric's order of criteria; empty without ratings."""
    if not levels:
        return ()
    return tuple(
        [level.name for level in criterion.levels].index(levels[criterion.key]) for criterion in rubric.criteria
    )
