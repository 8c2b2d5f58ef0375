"""Scores. Points are exact decimals; `fraction` is points / max_points (0..1, four decimal places)."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID


class DegradedReason(StrEnum):
    """Why a result is degraded: a part of the system failed or a fallback was used."""

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
        """Whether a later attempt may remove the reason without an operator or a reviewer."""
        return not self.needs_person and self not in {
            DegradedReason.ESSAY_GRADER_NOT_CONFIGURED,
            DegradedReason.ESSAY_ATTEMPTS_EXCEEDED,
            DegradedReason.GRADER_FAILED,
        }

    @property
    def needs_person(self) -> bool:
        """Whether the language model can never grade this essay, so that a reviewer must."""
        return self in {DegradedReason.ESSAY_REFUSED_BY_PROVIDER, DegradedReason.ESSAY_TOO_LONG_FOR_MODEL}

    @property
    def of_search(self) -> bool:
        """Whether the search for evidence is degraded, and not a score. Another search may remove the reason."""
        return self in {DegradedReason.VECTOR_STORE_FALLBACK, DegradedReason.EMBEDDER_FALLBACK}

    @property
    def text(self) -> str:
        """The reason as a sentence for people."""
        return _TEXTS[self]


_TEXTS: Final = {
    DegradedReason.ESSAY_GRADER_NOT_CONFIGURED: "No language model is set up, so the local grader graded the essays.",
    DegradedReason.ESSAY_GRADER_LOCAL: "The language model did not respond, so the local grader graded the essays.",
    DegradedReason.ESSAY_GRADER_KEY_REFUSED: "The language model's provider rejected the API key: set a valid key.",
    DegradedReason.ESSAY_GRADER_QUOTA_EXHAUSTED: (
        "The account at the language model's provider has no credit or quota left."
    ),
    DegradedReason.ESSAY_GRADER_MODEL_UNKNOWN: "The provider does not know the configured model: check its name.",
    DegradedReason.ESSAY_GRADER_REQUEST_REFUSED: (
        "The language model's provider rejected the request: check OPENAI_MODEL and the options set with it."
    ),
    DegradedReason.ESSAY_ANSWER_REJECTED: "The language model's replies did not match the rubric or the essay.",
    DegradedReason.ESSAY_REFUSED_BY_PROVIDER: (
        "The language model's provider refused the essay because of its content; a reviewer must grade it."
    ),
    DegradedReason.ESSAY_TOO_LONG_FOR_MODEL: (
        "The essay is too long for the language model; a reviewer must grade it."
    ),
    DegradedReason.ESSAY_BUDGET_SPENT: "The organization's budget for today is spent. Grading continues tomorrow.",
    DegradedReason.ESSAY_ATTEMPTS_EXCEEDED: (
        "There were too many attempts at this role on one day, so the local grader graded the essays."
    ),
    DegradedReason.VECTOR_STORE_FALLBACK: "The vector store failed, so the database searched the catalogue.",
    DegradedReason.EMBEDDER_FALLBACK: "The embedding model could not be used, so the local one searched the catalogue.",
    DegradedReason.GRADER_FAILED: "An essay could not be graded automatically. A reviewer will grade it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleScore:
    """The score of an item by a rule.

    Profile answers are neither right nor wrong: `points` and `max_points` are 0, and `fraction` is their evidence.
    An unanswered profile question has the fraction None, because it is no evidence for a skill.
    `rule` is `single_choice`, `partial_credit`, `numeric_tolerance`, `profile_evidence` or `unanswered`.
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
    """A criterion's level from a grader or a reviewer. `points` are the rubric's points for the level.

    `quotes` are verified to be in the text; `confidence` is 0..1. `sample_levels` are the levels in each of a language
    model's samples; empty for other graders and in older scores. `raw_confidence` is the confidence
    of a language model's level before calibration, also after a review; None if no calibration was applied.
    """

    criterion: str
    level: str
    points: Decimal
    rationale: str
    quotes: tuple[str, ...] = ()
    confidence: Decimal = Decimal(1)
    sample_levels: tuple[str, ...] = ()
    raw_confidence: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The total latency and cost of an essay's model calls. `cost_cents` None: a part is unknown."""

    latency_ms: int
    cost_cents: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFrom:
    """An earlier answer of another student. `share` (0..1) is the part of the scored answer's words copied from it."""

    assessment_id: UUID
    snapshot_id: UUID
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EssayScore:
    """The score of an essay: the output of the step `score_essay` from any grader.

    `points` and `fraction` None mean that the grader abstained: the essay is no evidence for any skill, and a reviewer
    must grade it. `model` is the model's name, `local-…` for the local grader, or `none` for an unanswered
    essay or one that no grader could grade. `reviewed`: a reviewer set or confirmed the levels. `latency_ms` and
    `cost_cents` are the sums over all paid model calls, including those with rejected replies. `cost_cents` None: a
    cost is unknown. `examples` are the reviews whose answers a language model saw as examples. `calibration` is the
    version of the calibration of a language model's confidence; it is empty where none was applied. `copied_from` is
    for reviewers only, with the largest share first.
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
    examples: tuple[UUID, ...] = ()
    calibration: str = ""
    copied_from: tuple[CopiedFrom, ...] = ()

    @property
    def graded_by_model(self) -> bool:
        """Whether a language model graded the essay."""
        return self.model != "none" and not self.model.startswith("local-")


UNRELATED: Final = "unrelated"
"""The flag of a text that does not deal with its question."""

OTHER_LANGUAGE: Final = "other_language"
"""The flag of a text that the local grader did not grade because it is not in English."""

LOWERED: Final = "lowered_by_healing"
"""The flag of a score with fewer points than an earlier published score."""


def healed(before: EssayScore, after: EssayScore) -> EssayScore:
    """Return the better grader's score. It needs a review if it has fewer points than the published score.

    If grading failed, the published points stay, for review.
    """
    if after.degraded_reason is DegradedReason.GRADER_FAILED and before.points is not None:
        return replace(before, degraded_reason=after.degraded_reason, needs_review=True)
    if before.points is None or after.points is None or after.points >= before.points:
        return after
    return replace(after, flags=(*after.flags, LOWERED), needs_review=True)


ItemScore: TypeAlias = RuleScore | EssayScore
