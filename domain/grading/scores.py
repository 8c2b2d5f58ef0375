"""What scoring yields. Points are exact decimals; `fraction` is points / max_points, 0..1, four places."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID


class DegradedReason(StrEnum):
    """Why a result is less than it would be if every part had worked."""

    ESSAY_GRADER_NOT_CONFIGURED = "essay_grader_not_configured"
    ESSAY_GRADER_LOCAL = "essay_grader_local"
    ESSAY_GRADER_KEY_REFUSED = "essay_grader_key_refused"
    ESSAY_GRADER_QUOTA_EXHAUSTED = "essay_grader_quota_exhausted"
    ESSAY_GRADER_MODEL_UNKNOWN = "essay_grader_model_unknown"
    ESSAY_GRADER_REQUEST_REFUSED = "essay_grader_request_refused"
    ESSAY_ANSWER_REJECTED = "essay_answer_rejected"
    ESSAY_REFUSED_BY_PROVIDER = "essay_refused_by_provider"
    ESSAY_TOO_LONG_FOR_MODEL = "essay_too_long_for_model"
    ESSAY_BUDGET_SPENT = "essay_budget_spent"
    ESSAY_ATTEMPTS_EXCEEDED = "essay_attempts_exceeded"
    VECTOR_STORE_FALLBACK = "vector_store_fallback"
    EMBEDDER_FALLBACK = "embedder_fallback"
    GRADER_FAILED = "grader_failed"

    @property
    def heals(self) -> bool:
        """Whether a later attempt may remove it: not where only an operator or a reviewer can."""
        return not self.needs_person and self not in {
            DegradedReason.ESSAY_GRADER_NOT_CONFIGURED,
            DegradedReason.ESSAY_ATTEMPTS_EXCEEDED,
            DegradedReason.GRADER_FAILED,
        }

    @property
    def needs_person(self) -> bool:
        """Whether the language model will never grade this essay, so that a reviewer must."""
        return self in {DegradedReason.ESSAY_REFUSED_BY_PROVIDER, DegradedReason.ESSAY_TOO_LONG_FOR_MODEL}

    @property
    def of_search(self) -> bool:
        """Whether the evidence is less, and not a score: searching again may mend it."""
        return self in {DegradedReason.VECTOR_STORE_FALLBACK, DegradedReason.EMBEDDER_FALLBACK}

    @property
    def text(self) -> str:
        """The reason as a person reads it."""
        return _TEXTS[self]


_TEXTS: Final = {
    DegradedReason.ESSAY_GRADER_NOT_CONFIGURED: "No language model is set up, so the local grader read the essays.",
    DegradedReason.ESSAY_GRADER_LOCAL: "The language model did not answer, so the local grader graded the essays.",
    DegradedReason.ESSAY_GRADER_KEY_REFUSED: "The language model's provider refused the API key: set a valid one.",
    DegradedReason.ESSAY_GRADER_QUOTA_EXHAUSTED: (
        "The account at the language model's provider has no credit or quota left."
    ),
    DegradedReason.ESSAY_GRADER_MODEL_UNKNOWN: "The provider does not know the configured model: check its name.",
    DegradedReason.ESSAY_GRADER_REQUEST_REFUSED: (
        "The language model's provider refused the request: check OPENAI_MODEL and the options set with it."
    ),
    DegradedReason.ESSAY_ANSWER_REJECTED: "The language model's answers did not hold against the rubric or the essay.",
    DegradedReason.ESSAY_REFUSED_BY_PROVIDER: (
        "The language model's provider refused the essay because of its content; a reviewer must grade it."
    ),
    DegradedReason.ESSAY_TOO_LONG_FOR_MODEL: (
        "The essay is too long for the language model; a reviewer must grade it."
    ),
    DegradedReason.ESSAY_BUDGET_SPENT: "The organization's budget for the day is spent; grading goes on tomorrow.",
    DegradedReason.ESSAY_ATTEMPTS_EXCEEDED: "Too many attempts at this role on one day, so the local grader read it.",
    DegradedReason.VECTOR_STORE_FALLBACK: "The vector store failed, so the database searched the catalogue.",
    DegradedReason.EMBEDDER_FALLBACK: "The embedding model could not be used, so the local one searched the catalogue.",
    DegradedReason.GRADER_FAILED: "An essay could not be graded automatically. A reviewer will grade it.",
}


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
class Spent:
    """What an essay's answers took in all; `cost_cents` is None where a part of it is not known."""

    latency_ms: int
    cost_cents: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayScore:
    """A grader's verdict on one essay: the output of the step `score_essay`, whoever graded.

    `points` and `fraction` are None when the grader abstained: no evidence for any skill, and a person must review.
    `model` is the model's name, `local-…` for the local grader, `none` for an unanswered essay or one that
    no grader could grade. `reviewed`: a person
    set or confirmed the levels. `latency_ms` and `cost_cents` add up every answer bought for it, rejected ones too;
    a cost that nobody knows is None.
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
    reviewed: bool = False

    @property
    def graded_by_model(self) -> bool:
        """Whether a language model answered."""
        return self.model != "none" and not self.model.startswith("local-")


UNRELATED: Final = "unrelated"
"""The flag of a text that deals with something other than its question."""

OTHER_LANGUAGE: Final = "other_language"
"""The flag of a text that the local grader did not grade because it is not in English."""

LOWERED: Final = "lowered_by_healing"
"""The flag of a score with fewer points than the one that was shown before."""


def healed(before: EssayScore, after: EssayScore) -> EssayScore:
    """The better grader's score; where it takes away points that were shown, a person looks."""
    if before.points is None or after.points is None or after.points >= before.points:
        return after
    return replace(after, flags=(*after.flags, LOWERED), needs_review=True)


ItemScore: TypeAlias = RuleScore | EssayScore
