"""Ports: what the core needs of the world. Adapters live in activities/adapters and persistence; fakes in tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Protocol, Self, TypeAlias, TypeVar
from uuid import UUID

from domain.assessments import Assessment
from domain.identity import derived_id
from domain.questions import EssayRubric, Item
from domain.recommendations import Neighbour, SearchHit
from domain.results import Publication, Result
from domain.roles import Credential, Role
from domain.scores import EssayScore

Vector: TypeAlias = Sequence[float]
"""384 finite floats of Euclidean length 1."""

Output = TypeVar("Output")


class Embedder(Protocol):
    """Texts to vectors. Vectors of different `provider` or `model` are never compared."""

    provider: str
    model: str

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector of 384 floats a text, in order; long texts in one batch. An empty list gives one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Essay:
    """An essay to grade: the text (never empty), the question it answers and the rubric that judges it."""

    snapshot_id: UUID
    prompt: str
    rubric: EssayRubric
    rubric_version: str
    text: str


class EssayGrader(Protocol):
    """Grades essays by their rubrics. It returns levels; points are the rubric's."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        """One score an essay, in order; abstains (points None) where it has no ground.

        Raises:
            ExternalServiceError: the grader's service failed; a retry may help.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """Words and their vector. Only active credentials that teach one of `skills` are found, if it is given."""

    text: str
    vector: Vector
    skills: tuple[str, ...] = ()


class CredentialIndex(Protocol):
    """Hybrid search (words and vectors) over the active credentials of the catalogue."""

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> list[list[SearchHit]]:
        """For each query at most `limit` (>= 1) hits, best first, ties by credential id. One round trip."""
        ...


class AssessmentRuns(Protocol):
    """The engine that runs assessments. Each call may be repeated; a second one changes nothing.

    Raises:
        ExternalServiceError: the engine did not take the call in time; reconciliation repeats it.
    """

    async def start(self, assessment: Assessment) -> None:
        """Ensures a live run of an assessment in progress."""
        ...

    async def submit(self, assessment: Assessment) -> None:
        """Ensures a live run that knows the assessment is submitted."""
        ...

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Those with a live run, as far as the engine's index knows (seconds behind); at most 200 ids a call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKey:
    """A step of a run, for one item where the step has one. `revision` is the one being made (from 1)."""

    assessment_id: UUID
    run: int
    revision: int
    step: str
    item: UUID | None = None

    @property
    def id(self) -> UUID:
        return derived_id("job", self.assessment_id, self.run, self.revision, self.step, self.item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a claimed run works on: its number, the revision it makes and its answered essays."""

    assessment: Assessment
    revision: int
    essay_ids: tuple[UUID, ...]


class Assessments(Protocol):
    """The aggregate's repository. `lock` serialises every write about one assessment."""

    async def lock(self, assessment_id: UUID) -> tuple[Assessment, datetime]:
        """The assessment, locked until the transaction ends, and the database's clock.

        Raises:
            NotFound: there is none.
            Erased: its person is being erased.
        """
        ...

    async def save(self, before: Assessment, after: Assessment, *, actor: UUID | None = None) -> None:
        """Writes a transition and its audit row; `actor` None is the system.

        Raises:
            Conflict: the row is no longer what `before` says.
        """
        ...

    async def get(self, assessment_id: UUID) -> Assessment:
        """Without a lock.

        Raises:
            NotFound: there is none.
        """
        ...

    async def items(self, assessment_id: UUID) -> tuple[Item, ...]:
        """Every question of the assessment in its order, answered or not."""
        ...

    async def unclaimed(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Submitted that long ago and not claimed, by id, from after `after`."""
        ...

    async def unfinished(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """In progress and not due, or claimed and not finished: those that must have a live run; by id."""
        ...

    async def due(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """In progress past `expires_at`, by id."""
        ...


class Jobs(Protocol):
    """`async_jobs`: each step's state and output."""

    async def enqueue(self, keys: Sequence[JobKey]) -> None:
        """Rows `queued`; existing ones are left as they are."""
        ...

    async def begin(self, key: JobKey, output: type[Output]) -> Output | None:
        """Marks an attempt as running, or returns the stored output when the step has succeeded before."""
        ...

    async def succeed(self, key: JobKey, output: object) -> None:
        """Stores the output and closes the row.

        Raises:
            Conflict: the run is over or another has begun; the output is of no use to anybody.
            Erased: the person is being erased.
        """
        ...

    async def fail(self, key: JobKey, code: str) -> None:
        """Records a failed attempt by the error's code; the next attempt opens the row again."""
        ...

    async def output(self, key: JobKey, output: type[Output]) -> Output:
        """The output of a step that succeeded.

        Raises:
            CorruptData: it has none.
        """
        ...

    async def outputs(self, keys: Sequence[JobKey], output: type[Output]) -> list[Output]:
        """The outputs of steps that succeeded, in order, in one round trip.

        Raises:
            CorruptData: one of them has none.
        """
        ...

    async def close_stale(self, *, older_than_s: float) -> int:
        """Closes rows that have been `running` for longer than any policy allows; returns how many."""
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

    async def neighbours(self, assessment: Assessment) -> tuple[Neighbour, ...]:
        """Other learners of the role, in the organization or all by setting, who reacted to a recommendation."""
        ...


class Results(Protocol):
    async def publish(self, assessment: Assessment, now: datetime, result: Result) -> Publication:
        """Writes a locked assessment's result as its next revision.

        Scores, recommendation, items, traces, metrics, audit rows, events and the revision in this transaction; the
        assessment is completed; the steps' payloads are cleared.

        Raises:
            InvalidAssessmentState: the assessment is not awaiting a result.
        """
        ...

    async def fail(self, before: Assessment, after: Assessment) -> None:
        """Writes a locked assessment's move to `failed` with its audit row, event and deliveries; closes open jobs."""
        ...

    async def published(self, assessment_id: UUID) -> Publication | None:
        """The current publication, None before the first."""
        ...


class UnitOfWork(Protocol):
    """One transaction. Nothing is kept unless `commit` is called; never open across a network call."""

    assessments: Assessments
    jobs: Jobs
    catalog: Catalog
    results: Results

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def commit(self) -> None: ...


class UnitOfWorkFactory(Protocol):
    """Opens units of work.

    `autocommit` is for reads, and for writes that are one statement: each statement stands for itself, which saves
    the round trips around it.
    """

    def __call__(self, *, autocommit: bool = False) -> UnitOfWork: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogText:
    """The text of a credential that its vector is made of (`domain.roles.credential_text`), and the text's hash."""

    credential_id: UUID
    text: str
    text_hash: str


class EmbeddingArtifacts(Protocol):
    """Vectors of catalogue texts. An artifact never changes: a new text or another model makes a new one."""

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


class NearestLearners(Protocol):
    """Which earlier learners are most like this one."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], neighbours: Sequence[Neighbour], k: int
    ) -> tuple[tuple[Neighbour, float], ...]:
        """At most `k` neighbours with their nearness 0..1, nearest first, ties by id.

        `profile` maps skills to scores 0..1, None where nothing is known; only skills known of both are compared.
        """
        ...
