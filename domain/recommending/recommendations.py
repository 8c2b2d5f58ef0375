"""What retrieval finds and what is recommended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from domain.grading.scores import DegradedReason
from domain.recommending.skills import SkillGap


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A credential found for a query. `similarity` is the cosine (-1..1); `score` the store's fused rank score."""

    credential_id: UUID
    artifact_id: UUID
    similarity: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Evidence for a recommendation: a catalogue text found for a gap."""

    credential_id: UUID
    artifact_id: UUID
    skill: str
    source_uri: str
    snippet: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The output of the step `retrieve_evidence`: gaps (largest first) and what was found for each.

    `reviews` are those that the gaps take in, and so the ones that the revision stands on.
    """

    gaps: tuple[SkillGap, ...]
    traces: tuple[Trace, ...]
    latency_ms: int
    embedding_provider: str
    embedding_model: str
    degraded_reason: DegradedReason | None = None
    reviews: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierLearners:
    """Who took the role before, in columns: of thousands, an object for each costs more than all that is done with it.

    `ids` are the recommendations that they reacted to, as text; `scores` the scores 0..1 for which these were made, by
    skill, in the order of `ids`, and None where somebody has none.
    """

    ids: Sequence[str] = ()
    scores: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An earlier learner like this one, and what they made of credentials: credential id -> rating 1..5.

    Accepting counts as 5, rejecting as 1.
    """

    id: UUID
    reactions: Mapping[UUID, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedItem:
    """A credential in its place (from 1). `confidence` 0..1; `features` are the numbers that ranked it (0..1).

    `evidence` are the credentials whose traces speak for it: itself, unless it was not found and only leads to others.
    """

    credential_id: UUID
    title: str
    position: int
    confidence: float
    rationale: str
    skills: tuple[str, ...]
    features: Mapping[str, float]
    evidence: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """The output of the step `blend_recommendations`. `weights` are those used, by feature name.

    `calibrated_on` is how many reactions the confidences were calibrated on: 0 says that they are not.
    """

    items: tuple[RecommendedItem, ...]
    weights: Mapping[str, float]
    summary: str
    calibrated_on: int = 0

    @property
    def confidence_basis(self) -> str:
        return f"calibrated on {self.calibrated_on} reactions" if self.calibrated_on else "uncalibrated"
