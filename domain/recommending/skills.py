"""Calculate a skill profile from scores, and the gaps between the profile and a role's targets."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final
from uuid import UUID

from domain.assessments.questions import (
    EssayRubric,
    Item,
    MultipleChoiceRubric,
    NumberRubric,
    ScaleRubric,
    SingleChoiceRubric,
)
from domain.decimals import rounded
from domain.errors import CorruptData
from domain.grading.rubrics import rate
from domain.grading.scores import EssayScore, ItemScore, RuleScore
from domain.recommending.roles import Role, SkillTarget

PROFILE_SHARE: Final = Fraction(1, 2)
"""The factor on the weight of profile answers, because self-reports tend to be generous."""
DOUBT: Final = Decimal("0.5")
"""The weight of the prior assumption that a learner reaches half of the target: half a question of weight 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillLevel:
    """A learner's level in a skill. `score` is 0..1, or None without evidence; `evidence` is the total weight."""

    skill: str
    score: Decimal | None
    evidence: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillGap:
    """The gap between a learner's score and a role's target.

    `gap` = max(0, target - score), 0..1. Without evidence (`score` None) it is the whole target.
    """

    skill: str
    description: str
    score: Decimal | None
    target: Decimal
    gap: Decimal
    importance: Decimal
    evidence: Decimal

    @property
    def need(self) -> Decimal:
        """Importance x expected gap: `gap`, shrunk towards half the target if there is little evidence. No gap: 0."""
        if not self.gap:
            return Decimal(0)
        expected = (self.evidence * self.gap + DOUBT * self.target / 2) / (self.evidence + DOUBT)
        return self.importance * expected


def skill_profile(
    items: Iterable[Item], rule_scores: Iterable[RuleScore], essay_scores: Iterable[EssayScore]
) -> tuple[SkillLevel, ...]:
    """Return the level of every skill of the items, by name: the mean of its scores, weighted by evidence.

    A question's weight is divided equally among its skills. An essay's weight is first divided among its criteria in
    proportion to their points. Unanswered questions with a right answer count as 0. Abstained essays and unanswered
    profile questions do not count.

    Raises:
        CorruptData: an item has no score, or a score of the wrong type.
        InvalidInput: an essay's ratings do not fit its rubric.
    """
    scores: dict[UUID, ItemScore] = {score.snapshot_id: score for score in rule_scores}
    scores |= {score.snapshot_id: score for score in essay_scores}
    found: dict[str, list[_Evidence]] = {}
    for item in items:
        for evidence in _evidence(item, scores.get(item.snapshot_id)):
            found.setdefault(evidence.skill, []).append(evidence)
    return tuple(_level(skill, found[skill]) for skill in sorted(found))


def skill_gaps(role: Role, profile: Iterable[SkillLevel]) -> tuple[SkillGap, ...]:
    """Return a gap for each target of the role, including reached ones (gap 0); greatest need first, then by name."""
    levels = {level.skill: level for level in profile}
    gaps = [_gap(target, levels.get(target.skill)) for target in role.skills]
    return tuple(sorted(gaps, key=lambda gap: (-gap.need, gap.skill)))


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The evidence of an item for a skill. `score` is 0..1, or None if the item is no evidence."""

    skill: str
    score: Fraction | None
    weight: Fraction


def _evidence(item: Item, score: ItemScore | None) -> list[_Evidence]:
    rubric, weight = item.question.rubric, Fraction(item.question.weight)
    match rubric, score:
        case EssayRubric(), EssayScore():
            return _essay_evidence(rubric, score, weight)
        case ScaleRubric(), RuleScore():
            return _shared(rubric.skills, _exact(score.fraction), weight * PROFILE_SHARE)
        case SingleChoiceRubric() | MultipleChoiceRubric() | NumberRubric(), RuleScore():
            return _shared(rubric.skills, _exact(score.fraction), weight)
        case _:
            raise CorruptData(f"Item {item.snapshot_id} has no score of its kind")


def _essay_evidence(rubric: EssayRubric, score: EssayScore, weight: Fraction) -> list[_Evidence]:
    abstained = score.points is None
    points = {} if abstained else rate(rubric, {rating.criterion: rating.level for rating in score.ratings})
    evidence: list[_Evidence] = []
    for criterion in rubric.criteria:
        worth = Fraction(criterion.max_points)
        reached = None if abstained else Fraction(points[criterion.key]) / worth
        evidence += _shared(criterion.skills, reached, weight * worth / Fraction(rubric.max_points))
    return evidence


def _shared(skills: tuple[str, ...], score: Fraction | None, weight: Fraction) -> list[_Evidence]:
    return [_Evidence(skill, score, weight / len(skills)) for skill in skills]


def _exact(fraction: Decimal | None) -> Fraction | None:
    return None if fraction is None else Fraction(fraction)


def _level(skill: str, evidence: Iterable[_Evidence]) -> SkillLevel:
    known = [(each.score, each.weight) for each in evidence if each.score is not None]
    total = sum((weight for _, weight in known), Fraction(0))
    mean = sum((score * weight for score, weight in known), Fraction(0)) / total if known else None
    return SkillLevel(skill=skill, score=None if mean is None else rounded(mean), evidence=rounded(total))


def _gap(target: SkillTarget, level: SkillLevel | None) -> SkillGap:
    score = level.score if level else None
    return SkillGap(
        skill=target.skill,
        description=target.description,
        score=score,
        target=target.target,
        gap=max(Decimal(0), target.target - (score or Decimal(0))),
        importance=target.importance,
        evidence=level.evidence if level else Decimal(0),
    )
