"""Ports without the world behind them."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from operator import mul
from uuid import UUID

from domain.assessments import Assessment
from domain.errors import ExternalServiceError, InvalidInput
from domain.essays import essay_points
from domain.ports import CatalogText, Essay, SearchQuery, Vector
from domain.recommendations import Neighbour, SearchHit
from domain.scores import CriterionRating, DegradedReason, EssayScore
from domain.vectors import DIMENSIONS, check_vector


@dataclass(frozen=True)
class LiveStage:
    stage: str


@dataclass
class RecordingRuns:
    """The port `AssessmentRuns`: remembers what it was told; `down` makes it fail as an engine that is away does."""

    started: list[UUID] = field(default_factory=list)
    submitted: list[UUID] = field(default_factory=list)
    stage: str | None = None
    down: bool = False

    async def start(self, assessment: Assessment) -> None:
        self._told(self.started, assessment)

    async def submit(self, assessment: Assessment) -> None:
        self._told(self.submitted, assessment)

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return frozenset(assessment_ids) & frozenset([*self.started, *self.submitted])

    async def progress(self, assessment_id: UUID) -> LiveStage | None:
        if self.down:
            raise ExternalServiceError(f"No progress of {assessment_id}")
        return LiveStage(self.stage) if self.stage else None

    def _told(self, calls: list[UUID], assessment: Assessment) -> None:
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
        calls.append(assessment.id)


class FakeEmbedder:
    """The ports `Embedder` and `LongTextEmbedder`: words hashed into 384 places, so that shared words are likeness."""

    provider = "fake"
    model = "bag-of-words"

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(len(texts))
        return [bag_of_words(text) for text in texts]

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        return await self.embed(texts)


def bag_of_words(text: str) -> list[float]:
    """A unit vector; a text without words points along the last axis."""
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        place = int.from_bytes(hashlib.sha256(word.strip(".,;:!?").encode()).digest()[:4], "big")
        vector[place % (DIMENSIONS - 1)] += 1.0
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else [*vector[:-1], 1.0]


@dataclass(frozen=True, kw_only=True)
class IndexedCredential:
    """A credential as a search sees it. `vector` is that of its current text, None without one."""

    id: UUID
    artifact_id: UUID
    text: str
    skills: tuple[str, ...]
    vector: Sequence[float] | None
    active: bool = True


class InMemoryCredentialIndex:
    """The port `CredentialIndex`: cosines and shared words, fused as the real ones do."""

    def __init__(self, credentials: Sequence[IndexedCredential]) -> None:
        self._credentials = [each for each in credentials if each.active and each.vector is not None]

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> list[list[SearchHit]]:
        if limit < 1:
            raise InvalidInput("A search returns at least one hit")
        for query in queries:
            check_vector(query.vector)
        return [self._hits(query)[:limit] for query in queries]

    def _hits(self, query: SearchQuery) -> list[SearchHit]:
        wanted = [each for each in self._credentials if not query.skills or set(each.skills) & set(query.skills)]
        cosines = [sum(map(mul, query.vector, each.vector or ())) for each in wanted]
        words = [len(set(each.text.lower().split()) & set(query.text.lower().split())) for each in wanted]
        spread = max(cosines, default=0) - min(cosines, default=0)
        hits = [
            SearchHit(
                credential_id=each.id,
                artifact_id=each.artifact_id,
                similarity=cosine,
                score=0.7 * ((cosine - min(cosines)) / spread if spread else 1) + 0.3 * shared / (max(words) or 1),
            )
            for each, cosine, shared in zip(wanted, cosines, words, strict=True)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.credential_id))


class FakeEssayGrader:
    """The port `EssayGrader`: the second level of everything, and sure of it; it abstains without labelled answers."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        return [_abstained(essay) if not essay.rubric.anchors else _second_level(essay) for essay in essays]


def _second_level(essay: Essay) -> EssayScore:
    ratings = tuple(
        CriterionRating(
            criterion=criterion.key,
            level=criterion.levels[1].name,
            points=criterion.levels[1].points,
            rationale="It is always the second level.",
        )
        for criterion in essay.rubric.criteria
    )
    points, _, fraction = essay_points(essay.rubric, ratings)
    score = _abstained(essay)
    return replace(score, points=points, fraction=fraction, ratings=ratings, confidence=Decimal(1), needs_review=False)


def _abstained(essay: Essay) -> EssayScore:
    return EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="Read by nobody.",
        model="local-fake",
        prompt_version="fake",
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
        degraded_reason=DegradedReason.ESSAY_GRADER_NOT_CONFIGURED,
    )


class FakeNearestLearners:
    """The port `NearestLearners`: one less the mean difference of the scores both have."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], neighbours: Sequence[Neighbour], k: int
    ) -> tuple[tuple[Neighbour, float], ...]:
        found = [(each, nearness) for each in neighbours if (nearness := _nearness(profile, each.skills)) > 0]
        return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0].id))[:k])


def _nearness(mine: Mapping[str, Decimal | None], theirs: Mapping[str, Decimal]) -> float:
    apart = [abs(score - theirs[skill]) for skill, score in mine.items() if score is not None and skill in theirs]
    return float(1 - sum(apart, Decimal(0)) / len(apart)) if apart else 0.0


class InMemoryEmbeddingArtifacts:
    """The port `EmbeddingArtifacts` over a list of texts."""

    def __init__(self, texts: Sequence[CatalogText]) -> None:
        self.texts = list(texts)
        self.vectors: dict[tuple[UUID, str, str, str], Vector] = {}

    async def pending(self, provider: str, model: str, *, limit: int) -> tuple[CatalogText, ...]:
        return tuple(self._pending(provider, model)[:limit])

    async def count_pending(self, provider: str, model: str) -> int:
        return len(self._pending(provider, model))

    async def add(self, provider: str, model: str, embedded: Sequence[tuple[CatalogText, Vector]]) -> None:
        for _, vector in embedded:
            check_vector(vector)
        for text, vector in embedded:
            self.vectors.setdefault((text.credential_id, provider, model, text.text_hash), vector)

    def _pending(self, provider: str, model: str) -> list[CatalogText]:
        texts = sorted(self.texts, key=lambda text: text.credential_id)
        return [each for each in texts if (each.credential_id, provider, model, each.text_hash) not in self.vectors]
