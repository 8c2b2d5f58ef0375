"""From scores to a skill profile, and from the profile to gaps against a role's targets."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillLevel:
    """What the evidence says of one skill: `score` 0..1, None without evidence; `evidence` is its total weight."""

    skill: str
    score: Decimal | None
    evidence: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillGap:
    """How far a learner is from a role's target.

    `gap` = max(0, target - score), 0..1; the whole target where there is no evidence (`score` None).
    """

    skill: str
    description: str
    score: Decimal | None
    target: Decimal
    gap: Decimal
    importance: Decimal
    evidence: Decimal
