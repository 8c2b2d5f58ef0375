"""A published result, as students see it and as `result_revisions` stores it."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from domain.decimals import rounded
from domain.grading.scores import DegradedReason, EssayScore, ItemScore, RuleScore
from domain.recommending.recommendations import Blend, Evidence
from domain.webhooks.deliveries import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Latency and cost of a run. `total_latency_ms` is the time from submission to publication.

    `token_cost_cents` is the sum of the known costs. `cost_complete` is False if a cost is unknown.
    """

    total_latency_ms: int
    gpt_latency_ms: int
    rag_latency_ms: int
    token_cost_cents: Decimal
    cost_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallScore:
    """The sum of the items' points. `share` is points / max_points (0..1), None if no item gives points.

    An essay that waits for its first grade is in neither sum; `ungraded` counts these essays.
    """

    points: Decimal
    max_points: Decimal
    share: Decimal | None
    ungraded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of all items in the order of the assessment, and the ids of the reviews they include.

    `lowered`: healing in this revision removed points that an earlier revision had shown.
    """

    rules: tuple[RuleScore, ...] = ()
    essays: tuple[EssayScore, ...] = ()
    reviews: tuple[UUID, ...] = ()
    lowered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The item scores of the current revision, and the reasons why it is degraded."""

    scores: Scores
    degraded_reasons: tuple[DegradedReason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A complete result before it has a revision number. `lowered`: see `Scores`."""

    rule_scores: tuple[RuleScore, ...]
    essay_scores: tuple[EssayScore, ...]
    evidence: Evidence
    blend: Blend
    lowered: bool = False

    @property
    def degraded_reasons(self) -> tuple[DegradedReason, ...]:
        """The distinct reasons in the order of the enumeration."""
        found = {score.degraded_reason for score in self.essay_scores} | {self.evidence.degraded_reason}
        return tuple(reason for reason in DegradedReason if reason in found)

    @property
    def needs_review(self) -> bool:
        return any(score.needs_review for score in self.essay_scores)

    @property
    def overall(self) -> OverallScore:
        scores: tuple[ItemScore, ...] = (*self.rule_scores, *self.essay_scores)
        graded = [(score.points, score.max_points) for score in scores if score.points is not None]
        points = sum((each for each, _ in graded), Decimal(0))
        max_points = sum((most for _, most in graded), Decimal(0))
        return OverallScore(
            points=points,
            max_points=max_points,
            share=rounded(Fraction(points) / Fraction(max_points)) if max_points else None,
            ungraded=len(scores) - len(graded),
        )

    @property
    def heals(self) -> bool:
        return any(reason.heals for reason in self.degraded_reasons)

    def metrics(self, *, total_latency_ms: int) -> Metrics:
        by_model = [score for score in self.essay_scores if score.graded_by_model]
        costs = [score.cost_cents for score in self.essay_scores]
        return Metrics(
            total_latency_ms=total_latency_ms,
            gpt_latency_ms=sum(score.latency_ms for score in by_model),
            rag_latency_ms=self.evidence.latency_ms,
            token_cost_cents=sum((cost for cost in costs if cost is not None), Decimal(0)),
            cost_complete=None not in costs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The output of `publish_result`, small enough for a workflow history. `heals`: a later revision may be better."""

    assessment_id: UUID
    recommendation_id: UUID
    revision: int
    degraded_reasons: tuple[str, ...]
    needs_review: bool
    heals: bool = False
    deliveries: tuple[Delivery, ...] = ()
