"""A published result, whole: what a student is shown and what `result_revisions` keeps."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from domain.grading.scores import DegradedReason, EssayScore, RuleScore
from domain.recommending.recommendations import Blend, Evidence
from domain.webhooks.deliveries import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What the run cost. Latencies in ms; `total_latency_ms` from submission to publication.

    `token_cost_cents` adds the known costs; `cost_complete` says whether that is all of them.
    """

    total_latency_ms: int
    gpt_latency_ms: int
    rag_latency_ms: int
    token_cost_cents: Decimal
    cost_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Every item's score, in the order of the assessment, and the reviews that they take in.

    `lowered`: healing took points away in this revision that were shown before.
    """

    rules: tuple[RuleScore, ...] = ()
    essays: tuple[EssayScore, ...] = ()
    reviews: tuple[UUID, ...] = ()
    lowered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the current revision says of the items, and why it is degraded."""

    scores: Scores
    degraded_reasons: tuple[DegradedReason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything one publication says, before it has a revision number; `lowered` as in `Scores`."""

    rule_scores: tuple[RuleScore, ...]
    essay_scores: tuple[EssayScore, ...]
    evidence: Evidence
    blend: Blend
    lowered: bool = False

    @property
    def degraded_reasons(self) -> tuple[DegradedReason, ...]:
        """Each reason once, in the order of the enumeration."""
        found = {score.degraded_reason for score in self.essay_scores} | {self.evidence.degraded_reason}
        return tuple(reason for reason in DegradedReason if reason in found)

    @property
    def needs_review(self) -> bool:
        return any(score.needs_review for score in self.essay_scores)

    @property
    def heals(self) -> bool:
        return any(reason.heals for reason in self.degraded_reasons)

    def metrics(self, *, total_latency_ms: int) -> Metrics:
        bought = [score for score in self.essay_scores if score.graded_by_model]
        costs = [score.cost_cents for score in self.essay_scores]
        return Metrics(
            total_latency_ms=total_latency_ms,
            gpt_latency_ms=sum(score.latency_ms for score in bought),
            rag_latency_ms=self.evidence.latency_ms,
            token_cost_cents=sum((cost for cost in costs if cost is not None), Decimal(0)),
            cost_complete=None not in costs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What `publish_result` answers: small enough for a history. `heals`: a later revision may be better."""

    assessment_id: UUID
    recommendation_id: UUID
    revision: int
    degraded_reasons: tuple[str, ...]
    needs_review: bool
    heals: bool = False
    deliveries: tuple[Delivery, ...] = ()
