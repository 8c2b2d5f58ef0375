"""Ports of retrieval and ranking: embedders, vector indexes, the catalogue and its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.grading.ledger import EmbeddingPurchase
from domain.grading.scores import DegradedReason
from domain.recommending.calibration import Tally
from domain.recommending.recommendations import EarlierLearners, SearchHit
from domain.recommending.roles import Credential, Role

Vector: TypeAlias = Sequence[float]

"""384 finite floats of Euclidean length 1."""


class Embedder(Protocol):
    """Texts to vectors. Vectors of different `provider` or `model` are never compared."""

    provider: str
    model: str

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector of 384 floats a text, in order; long texts in one batch. An empty list gives one."""
        ...


class EmbeddingLedger(Protocol):
    """What paid vectors cost. They serve whoever searches, so they belong to no assessment and no organization."""

    async def record(self, bought: EmbeddingPurchase) -> None:
        """Keeps a purchase, once however often it is called.

        Raises:
            StorageUnavailable: the database is away or overloaded.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """Words and their vector. Only active credentials that teach one of `skills` are found, if it is given."""

    text: str
    vector: Vector
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """For each query its hits, best first, ties by credential id; why the search is less than configured, if it is."""

    hits: tuple[tuple[SearchHit, ...], ...]
    degraded_reason: DegradedReason | None = None


class CredentialIndex(Protocol):
    """Hybrid search (words and vectors) over the active credentials of the catalogue."""

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        """For each query at most `limit` (>= 1) hits. All queries at once.

        Raises:
            InvalidInput: a limit below 1, or a vector that is none.
            ExternalServiceError: the store does not answer as it should.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """A credential as an index holds it: what is searched, what filters, and the vector of its text."""

    credential_id: UUID
    artifact_id: UUID
    title: str
    description: str
    skills: tuple[str, ...]
    vector: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedEntry:
    """An entry that the index did not take, and why; the others of its batch are kept."""

    credential_id: UUID
    problem: str


class CredentialIndexWriter(Protocol):
    """Fills an index that stands beside Postgres. Every call may be repeated.

    A build is invisible until it is finished. Where a build can be named, None is the live index.

    Raises:
        InvalidInput: a vector that is none.
        NotFound: there is no such build, or no live index.
        ExternalServiceError: the store does not answer as it should.
    """

    async def begin(self) -> str:
        """Starts an empty build and returns its name."""
        ...

    async def upsert(self, entries: Sequence[IndexEntry], build: str | None = None) -> tuple[RejectedEntry, ...]:
        """Puts the entries in, each in the place of what the index holds of the credential."""
        ...

    async def delete(self, credential_ids: Sequence[UUID], build: str | None = None) -> None:
        """Takes them out; those that are not there do not matter."""
        ...

    async def entries(self, build: str | None = None) -> dict[UUID, UUID]:
        """What the index holds, as credential id -> artifact id, to compare with Postgres."""
        ...

    async def finish(self, build: str) -> None:
        """Makes the build the live index at once, and drops the one before and whatever else nobody finished."""
        ...

    async def is_usable(self, at_least: int) -> bool:
        """Whether there is a live index of this code's schema with so many entries."""
        ...


class Catalog(Protocol):
    """Roles and credentials as the recommender needs them."""

    async def role(self, role_id: UUID) -> Role:
        """Raises NotFound where there is none."""
        ...

    async def credentials(self, ids: Sequence[UUID]) -> dict[UUID, Credential]:
        """The active ones among `ids`."""
        ...

    async def held(self, user_id: UUID) -> frozenset[UUID]:
        """Credentials the learner holds already."""
        ...

    async def earlier_learners(self, assessment: Assessment, skills: Sequence[str]) -> EarlierLearners:
        """Other learners of the role, in the organization or all by setting, with the last they reacted to.

        Newest first; `skills` are those whose scores are wanted.
        """
        ...

    async def reactions(self, recommendations: Sequence[UUID]) -> dict[UUID, dict[UUID, Decimal]]:
        """For each that its learner reacted to, what they made of its credentials: 1..5 by credential."""
        ...

    async def tallies(self, assessment: Assessment) -> tuple[Tally, ...]:
        """What learners of the organization, or all by setting, made of what they were shown, by its score."""
        ...

    async def take_words(self, search_id: UUID) -> str:
        """What somebody searches the catalogue for; it is gone from here then.

        Raises:
            NotFound: it was taken or forgotten before.
        """
        ...


class CatalogImports(Protocol):
    """Imports that are not finished: some of what they brought may lack a vector."""

    async def unfinished(self, *, older_than_s: float) -> int:
        """How many there are that were made that long ago."""
        ...

    async def close_embedded(self, *, older_than_s: float) -> None:
        """Closes those of them whose every entry has a vector of its text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogText:
    """The text of a credential (`domain.recommending.roles.credential_text`), and the text's hash."""

    credential_id: UUID
    text: str
    text_hash: str


class EmbeddingArtifacts(Protocol):
    """Vectors of catalogue texts. An artifact never changes: a new text or another model makes a new one.

    What can be searched are the active credentials with a vector of their current text.
    """

    async def pending(self, provider: str, model: str, *, limit: int) -> tuple[CatalogText, ...]:
        """At most `limit` active credentials without a vector of their current text by this model, by id."""
        ...

    async def count_pending(self, provider: str, model: str) -> int: ...

    async def add(self, provider: str, model: str, embedded: Sequence[tuple[CatalogText, Vector]]) -> None:
        """Keeps the vectors, in one transaction; those that exist already stay as they are.

        Raises:
            InvalidInput: a vector that is not of 384 finite numbers.
        """
        ...

    async def searchable(self, provider: str, model: str) -> dict[UUID, UUID]:
        """All that can be searched by this model, as credential id -> artifact id."""
        ...

    async def count_searchable(self, provider: str, model: str) -> int: ...

    async def entries(self, artifact_ids: Sequence[UUID]) -> tuple[IndexEntry, ...]:
        """Those among the artifacts that can be searched, by credential id."""
        ...


class CatalogRuns(Protocol):
    """The engine that embeds the catalogue and keeps its index."""

    async def start(self) -> None:
        """Makes sure that what stands in the catalogue now is embedded and indexed; may be repeated.

        Raises:
            ExternalServiceError: the engine did not take the call in time.
        """
        ...


class CatalogSearches(Protocol):
    """The engine that has a worker embed a query and search for it."""

    async def search(self, search_id: UUID, *, limit: int) -> SearchResult:
        """The hits, at most `limit` (>= 1), for the words that wait under the id.

        Raises:
            ExternalServiceError: the engine or a worker did not answer in time.
        """
        ...


class NearestLearners(Protocol):
    """Which earlier learners are most like this one."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        """The ids of at most `k` of the learners with their nearness 0..1, nearest first, ties by id.

        `profile` maps skills to scores 0..1, None where nothing is known; only skills known of both are compared.
        """
        ...
