"""What scoring yields. Points are exact decimals; `fraction` is points / max_points, 0..1, four places."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID


class DegradedReason(StrEnum):
    """Why a result is less than it would be if every part had worked."""

    ESSAY_GRADER_NOT_CONFIGURED = "essay_grader_not_configured"
    ESSAY_GRADER_LOCAL = "essay_grader_local"
    VECTOR_STORE_FALLBACK = "vector_store_fallback"

    @property
    def heals(self) -> bool:
        """Whether it may pass by itself; what is not configured stays so until somebody configures it."""
        return self is not DegradedReason.ESSAY_GRADER_NOT_CONFIGURED


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleScore:
    """A rule's verdict on one item.

    `points` and `max_points` are 0 for profile answers, which have no right or wrong; their evidence stands in
    `fraction`. `fraction` is None when the item says nothing about a skill (an unanswered profile question).
    `rule` names the rule (`single_choice`, `partial_credit`, `numeric_tolerance`, `profile_evidence`, `unanswered`).
    """

    snapshot_id: UUID
    points: Decimal
    max_points: Decimal
    fraction: Decimal | None
    explanation: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleScores:
    """The output of the step `score_rules`."""

    scores: tuple[RuleScore, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionRating:
    """A level for one criterion, as a grader or a person gave it; points come from the rubric, by code.

    `quotes` are verbatim and verified; `confidence` is 0..1.
    """

    criterion: str
    level: str
    points: Decimal
    rationale: str
    quotes: tuple[str, ...] = ()
    confidence: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayScore:
    """A grader's verdict on one essay: the output of the step `score_essay`, whoever graded.

    `points` and `fraction` are None when the grader abstained: no evidence for any skill, and a person must review.
    `model` is the model's name, `local-…` for the local grader, `none` for an unanswered essay.
    """

    snapshot_id: UUID
    points: Decimal | None
    max_points: Decimal
    fraction: Decimal | None
    ratings: tuple[CriterionRating, ...]
    feedback: str
    model: str
    prompt_version: str
    rubric_version: str
    confidence: Decimal
    needs_review: bool
    flags: tuple[str, ...] = ()
    degraded_reason: DegradedReason | None = None
    latency_ms: int = 0
    cost_cents: Decimal | None = Decimal(0)

    @property
    def bought(self) -> bool:
        """Whether a language model answered."""
        return self.model != "none" and not self.model.startswith("local-")


ItemScore: TypeAlias = RuleScore | EssayScore
