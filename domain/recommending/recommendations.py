"""Results of retrieval and recommendation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import compress
from typing import Final
from uuid import UUID

from domain.grading.scores import DegradedReason
from domain.recommending.calibration import Calibration
from domain.recommending.skills import SkillGap


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A credential found by a query. `similarity` is the cosine (-1..1), `score` the store's fused rank score."""

    credential_id: UUID
    artifact_id: UUID
    similarity: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Evidence for a recommendation: a catalogue text that was found for a gap."""

    credential_id: UUID
    artifact_id: UUID
    skill: str
    source_uri: str
    snippet: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The output of the step `retrieve_evidence`: gaps (greatest need first) and the texts found for each.

    `reviews` are the reviews included in the gaps, and so in the revision.
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
    """Earlier learners of the role, in columns, because thousands of objects would be slow.

    `ids` are the recommendations they reacted to, and `learners` their ids, both as text. `scores` has their scores
    (0..1, None if unknown) by skill. All are in the same order, and each learner occurs once.
    """

    ids: Sequence[str] = ()
    learners: Sequence[str] = ()
    scores: Mapping[str, Sequence[float | None]] = field(default_factory=dict)

    def without(self, learner: UUID) -> "EarlierLearners":
        others = _others(self.learners, learner)
        if all(others):
            return self
        return EarlierLearners(
            ids=list(compress(self.ids, others)),
            learners=list(compress(self.learners, others)),
            scores={skill: list(compress(scores, others)) for skill, scores in self.scores.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactions:
    """Learners' reactions to credentials, in columns, because thousands of objects would be slow.

    Each learner's reactions are consecutive, oldest first. Ids are text. `ratings` are 1..5: accepting counts as 5,
    rejecting as 1.
    """

    learners: Sequence[str] = ()
    credentials: Sequence[str] = ()
    ratings: Sequence[float] = ()

    def without(self, learner: UUID) -> "Reactions":
        others = _others(self.learners, learner)
        if all(others):
            return self
        return Reactions(
            learners=list(compress(self.learners, others)),
            credentials=list(compress(self.credentials, others)),
            ratings=list(compress(self.ratings, others)),
        )


def _others(learners: Sequence[str], learner: UUID) -> list[bool]:
    """Return for each of the learners whether it is another one."""
    name = str(learner)
    return [each != name for each in learners]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherLearners:
    """What a ranking uses of other learners: those of the role, and reactions of learners of every role.

    `calibration` turns the scores of a ranking into confidences.
    """

    earlier: EarlierLearners
    reactions: Reactions
    calibration: Calibration

    def without(self, learner: UUID) -> "OtherLearners":
        return replace(self, earlier=self.earlier.without(learner), reactions=self.reactions.without(learner))


HELD_RATING: Final = 5.0
"""A held credential counts as this rating."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A learner's held credentials and liking: credential ids with ratings (1..5), oldest first.

    Held credentials count as `HELD_RATING`.
    """

    held: frozenset[UUID] = frozenset()
    own: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A similar earlier learner. `reactions` maps credential ids to ratings (1..5).

    Accepting counts as 5, rejecting as 1.
    """

    id: UUID
    reactions: Mapping[UUID, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedItem:
    """A recommended credential. `position` counts from 1; `confidence` is 0..1; `features` (0..1) ranked it.

    `evidence` has the credentials whose traces support it: itself, or the credentials it leads to if the search did not
    find it.
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
    """The output of the step `blend_recommendations`. `weights` are the weights used, by feature name.

    `calibrated_on` is the number of reactions used to calibrate the confidences; 0: uncalibrated.
    """

    items: tuple[RecommendedItem, ...]
    weights: Mapping[str, float]
    summary: str
    calibrated_on: int = 0

    @property
    def confidence_basis(self) -> str:
        return f"calibrated on {self.calibrated_on} reactions" if self.calibrated_on else "uncalibrated"
