"""Ports of retrieval and ranking: embedders, vector indexes, the catalogue and its workflows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.grading.ledger import EmbeddingPurchase
from domain.grading.scores import DegradedReason
from domain.recommending.calibration import Tally
from domain.recommending.recommendations import EarlierLearners, Preferences, Reactions, SearchHit
from domain.recommending.roles import Credential, Role

Vector: TypeAlias = Sequence[float]
"""384 finite floats of Euclidean length 1."""


class Embedder(Protocol):
    """Embeds texts as vectors. Vectors of different `provider` or `model` must not be compared."""

    provider: str
    model: str

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a unit vector of 384 floats for each text, in order. An empty list gives an empty list."""
        ...


class EmbeddingLedger(Protocol):
    """The costs of paid embeddings. All organizations share the vectors, so a cost belongs to no assessment."""

    async def record(self, purchase: EmbeddingPurchase) -> None:
        """Store the cost of a request. Repeated calls store one row.

        Raises:
            StorageUnavailable: the database is unreachable or overloaded.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """A query text and its vector. If `skills` is not empty, only credentials that teach one of them are found."""

    text: str
    vector: Vector
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The hits of each query, best first, ties by credential id. `degraded_reason`: why a fallback was used."""

    hits: tuple[tuple[SearchHit, ...], ...]
    degraded_reason: DegradedReason | None = None


class CredentialIndex(Protocol):
    """Hybrid search (keywords and vectors) over the active credentials of the catalogue."""

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        """Return at most `limit` (>= 1) hits for each query. The queries run concurrently.

        Raises:
            InvalidInput: the limit is below 1, or a vector is invalid.
            ExternalServiceError: the store fails or sends an invalid response.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """A credential in an index: the searched texts, the skills for filters, and the vector of its text."""

    credential_id: UUID
    artifact_id: UUID
    title: str
    description: str
    skills: tuple[str, ...]
    vector: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedEntry:
    """An entry that the index rejected, and the reason. The other entries of the batch are stored."""

    credential_id: UUID
    problem: str


class CredentialIndexWriter(Protocol):
    """Writes an index outside Postgres. Every call is idempotent.

    A build is invisible to searches until it is finished. `build` None means the live index.

    Raises:
        InvalidInput: a vector is invalid.
        NotFound: the build does not exist, or there is no live index.
        ExternalServiceError: the store fails or sends an invalid response.
    """

    async def begin(self) -> str:
        """Start an empty build and return its name."""
        ...

    async def upsert(self, entries: Sequence[IndexEntry], build: str | None = None) -> tuple[RejectedEntry, ...]:
        """Insert the entries, or replace the entries of the same credentials. Return the rejected entries."""
        ...

    async def delete(self, credential_ids: Sequence[UUID], build: str | None = None) -> None:
        """Delete entries. Missing entries are ignored."""
        ...

    async def entries(self, build: str | None = None) -> dict[UUID, UUID]:
        """Return the credential id -> artifact id of all entries, for the comparison with Postgres."""
        ...

    async def finish(self, build: str) -> None:
        """Atomically make the build the live index. Delete the previous index and all unfinished builds."""
        ...

    async def is_usable(self, at_least: int) -> bool:
        """Return whether there is a live index with this code's schema and at least `at_least` entries."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerContext:
    """An assessment and its role."""

    assessment: Assessment
    role: Role


class Catalog(Protocol):
    """The data of the catalogue and of earlier learners that the recommender reads."""

    async def role(self, role_id: UUID) -> Role:
        """Return the role. Raise NotFound if it does not exist."""
        ...

    async def learner(self, assessment_id: UUID) -> LearnerContext:
        """Return an assessment and its role, in one statement.

        Raises:
            NotFound: the assessment does not exist.
        """
        ...

    async def credentials(self, ids: Sequence[UUID]) -> dict[UUID, Credential]:
        """Return the active credentials among `ids`."""
        ...

    async def with_prerequisites(self, ids: Sequence[UUID]) -> dict[UUID, Credential]:
        """Return the active credentials among `ids` and their active prerequisites of every level."""
        ...

    async def preferences(self, user_ids: Sequence[UUID]) -> dict[UUID, Preferences]:
        """Return the held credentials and the reactions of each of the learners, in any role."""
        ...

    async def newest_reactions(self, organization_id: UUID) -> Reactions:
        """Return the newest reactions of the organization's learners, in any role.

        The setting decides whether learners of other organizations are included.
        """
        ...

    async def earlier_learners(self, organization_id: UUID, role_id: UUID, skills: Sequence[str]) -> EarlierLearners:
        """Return the learners of the role with the latest recommendation they reacted to, newest first.

        Only a limited number of the newest recommendations with reactions is read. The setting decides whether learners
        of other organizations are included. `skills` selects the scores.
        """
        ...

    async def reactions(self, recommendations: Sequence[UUID]) -> dict[UUID, dict[UUID, Decimal]]:
        """Return the ratings (1..5) by credential for each recommendation that its learner reacted to."""
        ...

    async def tallies(self, organization_id: UUID) -> tuple[Tally, ...]:
        """Return learners' reactions to recommended credentials, grouped by score.

        The setting decides whether learners of other organizations are included.
        """
        ...

    async def take_words(self, search_id: UUID) -> str:
        """Return the text of a catalogue search and delete it.

        Raises:
            NotFound: the text was read or deleted before.
        """
        ...


class CatalogImports(Protocol):
    """The repository of catalogue imports. An import is unfinished until each of its entries has a vector."""

    async def unfinished(self, *, older_than_s: float) -> int:
        """Return the number of unfinished imports created at least `older_than_s` seconds ago."""
        ...

    async def close_embedded(self, *, older_than_s: float) -> None:
        """Finish the imports created at least `older_than_s` seconds ago whose entries all have vectors."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogText:
    """The text of a credential (`domain.recommending.roles.credential_text`) and its hash."""

    credential_id: UUID
    text: str
    text_hash: str


class EmbeddingArtifacts(Protocol):
    """The repository of vectors of catalogue texts. An artifact is immutable: a new text or model makes a new one.

    Active credentials with a vector of their current text are searchable.
    """

    async def pending(self, provider: str, model: str, *, limit: int) -> tuple[CatalogText, ...]:
        """Return at most `limit` active credentials without this model's vector of their current text, by id."""
        ...

    async def count_pending(self, provider: str, model: str) -> int: ...

    async def add(self, provider: str, model: str, embedded: Sequence[tuple[CatalogText, Vector]]) -> None:
        """Store the vectors in one transaction. Existing vectors do not change.

        Raises:
            InvalidInput: a vector does not have 384 finite numbers.
        """
        ...

    async def searchable(self, provider: str, model: str) -> dict[UUID, UUID]:
        """Return the credential id -> artifact id of all credentials that are searchable with this model."""
        ...

    async def count_searchable(self, provider: str, model: str) -> int: ...

    async def entries(self, artifact_ids: Sequence[UUID]) -> tuple[IndexEntry, ...]:
        """Return index entries for the searchable ones among the artifacts, by credential id."""
        ...


class CatalogRuns(Protocol):
    """The workflow engine, for embedding and indexing of the catalogue."""

    async def start(self) -> None:
        """Ensure that the current catalogue is embedded and indexed. Idempotent.

        Raises:
            ExternalServiceError: the engine did not accept the call in time.
        """
        ...


class CatalogSearches(Protocol):
    """The workflow engine, for catalogue searches that a worker embeds and runs."""

    async def search(self, search_id: UUID, *, limit: int) -> SearchResult:
        """Return at most `limit` (>= 1) hits for the text that is stored under the id.

        Raises:
            ExternalServiceError: the engine or a worker did not respond in time.
        """
        ...


class NearestLearners(Protocol):
    """Finds the earlier learners that are most similar to a learner."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        """Return the ids of at most `k` learners with their nearness (0..1), nearest first, ties in the given order.

        `profile` maps skills to scores (0..1) or None if unknown. Only skills that both learners have are compared. A
        learner with few of the profile's skills is less near than one with the same scores in more of them.
        """
        ...

    async def affinities(self, own: Sequence[tuple[str, float]], others: Reactions) -> Mapping[UUID, float]:
        """Return how well credentials suit a learner's liking (0..1, the best has 1).

        `own` are the ids of credentials with the learner's ratings (1..5), oldest first. If it is empty, only the
        popularity counts. Credentials that no other learner likes are left out.
        """
        ...
