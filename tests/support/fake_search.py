"""Fakes of the ports for embeddings, the search of credentials and the nearest learners."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import mul
from uuid import UUID

from domain.errors import InvalidInput, NotFound, StorageUnavailable
from domain.grading.ledger import EmbeddingPurchase
from domain.ids import derived_id
from domain.recommending.calibration import LIKED
from domain.recommending.ports import CatalogText, IndexEntry, RejectedEntry, SearchQuery, SearchResult, Vector
from domain.recommending.recommendations import EarlierLearners, Reactions, SearchHit
from domain.recommending.vectors import DIMENSIONS, check_vector


class FakeEmbedder:
    """A fake of `Embedder` and `LongTextEmbedder` that hashes words: texts with shared words get similar vectors."""

    provider = "fake"
    model = "bag-of-words"

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(len(texts))
        return [bag_of_words(text) for text in texts]

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        return await self.embed(texts)


@dataclass
class RecordingLedger:
    """A fake of the port `EmbeddingLedger`. With `down`, it fails like an unavailable database."""

    purchases: list[EmbeddingPurchase] = field(default_factory=list)
    down: bool = False

    async def record(self, purchase: EmbeddingPurchase) -> None:
        if self.down:
            raise StorageUnavailable("The database does not answer")
        self.purchases.append(purchase)


def bag_of_words(text: str) -> list[float]:
    """Return a unit vector. A text without words points along the last axis."""
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        place = int.from_bytes(hashlib.sha256(word.strip(".,;:!?").encode()).digest()[:4], "big")
        vector[place % (DIMENSIONS - 1)] += 1.0
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else [*vector[:-1], 1.0]


@dataclass(frozen=True, kw_only=True)
class IndexedCredential:
    """A credential as a search sees it. `vector` embeds its current text; None means that it is not embedded."""

    id: UUID
    artifact_id: UUID
    text: str
    skills: tuple[str, ...]
    vector: Sequence[float] | None
    active: bool = True


class InMemoryCredentialIndex:
    """A fake of the port `CredentialIndex`: fuses cosines and shared words as the real indexes do."""

    def __init__(self, credentials: Sequence[IndexedCredential]) -> None:
        self._credentials = [each for each in credentials if each.active and each.vector is not None]

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        if limit < 1:
            raise InvalidInput("The limit of a search must be at least 1")
        for query in queries:
            check_vector(query.vector)
        return SearchResult(hits=tuple(tuple(self._hits(query)[:limit]) for query in queries))

    def _hits(self, query: SearchQuery) -> list[SearchHit]:
        wanted = [each for each in self._credentials if not query.skills or set(each.skills) & set(query.skills)]
        cosines = [sum(map(mul, query.vector, each.vector or ())) for each in wanted]
        asked = Counter(query.text.lower().split())
        words = [sum(asked[word] for word in set(each.text.lower().split())) for each in wanted]
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


class InMemoryIndexWriter:
    """A fake of the port `CredentialIndexWriter`; it rejects the credentials in `refuses`."""

    def __init__(self) -> None:
        self.indexes: dict[str | None, dict[UUID, IndexEntry]] = {}
        self.refuses: set[UUID] = set()
        self._begun = 0

    async def begin(self) -> str:
        self._begun += 1
        self.indexes[build := f"build {self._begun}"] = {}
        return build

    async def upsert(self, entries: Sequence[IndexEntry], build: str | None = None) -> tuple[RejectedEntry, ...]:
        for entry in entries:
            check_vector(entry.vector)
        taken = {entry.credential_id: entry for entry in entries if entry.credential_id not in self.refuses}
        self._index(build).update(taken)
        refused = [entry.credential_id for entry in entries if entry.credential_id not in taken]
        return tuple(RejectedEntry(credential_id=each, problem="unwanted") for each in refused)

    async def delete(self, credential_ids: Sequence[UUID], build: str | None = None) -> None:
        for each in credential_ids:
            self._index(build).pop(each, None)

    async def entries(self, build: str | None = None) -> dict[UUID, UUID]:
        return {each.credential_id: each.artifact_id for each in self._index(build).values()}

    async def finish(self, build: str) -> None:
        self.indexes = {None: self._index(build)}

    async def is_usable(self, at_least: int) -> bool:
        return None in self.indexes and len(self.indexes[None]) >= at_least

    def _index(self, build: str | None) -> dict[UUID, IndexEntry]:
        if build not in self.indexes:
            raise NotFound(f"There is no index {build}")
        return self.indexes[build]


class FakeNearestLearners:
    """A fake of the port `NearestLearners`: similarity is 1 minus the mean difference of the shared scores."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        all_scores = [
            {skill: scores[place] for skill, scores in learners.scores.items()} for place in range(len(learners.ids))
        ]
        found = [
            (UUID(id_), nearness)
            for id_, scores in zip(learners.ids, all_scores, strict=True)
            if (nearness := _nearness(profile, scores)) > 0
        ]
        return tuple(sorted(found, key=lambda pair: -pair[1])[:k])

    async def affinities(self, own: Sequence[tuple[str, float]], others: Reactions) -> Mapping[UUID, float]:
        """Return the popularity: each credential's number of likes, relative to the highest number."""
        rated = zip(others.credentials, others.ratings, strict=True)
        likes = Counter(UUID(name) for name, rating in rated if rating >= LIKED and name not in dict(own))
        return {name: count / max(likes.values()) for name, count in likes.items()}


def _nearness(mine: Mapping[str, Decimal | None], theirs: Mapping[str, float | None]) -> float:
    pairs = [(score, theirs.get(skill)) for skill, score in mine.items()]
    apart = [abs(float(score) - other) for score, other in pairs if score is not None and other is not None]
    return round(1 - sum(apart) / len(apart), 6) if apart else 0.0


class InMemoryEmbeddingArtifacts:
    """A fake of the port `EmbeddingArtifacts` on a list of texts."""

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

    async def searchable(self, provider: str, model: str) -> dict[UUID, UUID]:
        return {each.credential_id: each.artifact_id for each in self._entries(provider, model)}

    async def count_searchable(self, provider: str, model: str) -> int:
        return len(self._entries(provider, model))

    async def entries(self, artifact_ids: Sequence[UUID]) -> tuple[IndexEntry, ...]:
        everything = {(provider, model) for _, provider, model, _ in self.vectors}
        found = [each for made_by in everything for each in self._entries(*made_by) if each.artifact_id in artifact_ids]
        return tuple(sorted(found, key=lambda each: each.credential_id))

    def _entries(self, provider: str, model: str) -> list[IndexEntry]:
        return [
            IndexEntry(
                credential_id=text.credential_id,
                artifact_id=derived_id("embedding", *key),
                title=text.text,
                description="",
                skills=(),
                vector=self.vectors[key],
            )
            for text in self.texts
            if (key := (text.credential_id, provider, model, text.text_hash)) in self.vectors
        ]

    def _pending(self, provider: str, model: str) -> list[CatalogText]:
        texts = sorted(self.texts, key=lambda text: text.credential_id)
        return [each for each in texts if (each.credential_id, provider, model, each.text_hash) not in self.vectors]
