"""Ports: what the core needs of the world. Adapters live in activities/adapters and persistence; fakes in tests."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Generic, ParamSpec, Protocol, TypeAlias, TypeVar
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import Anchor, Item
from domain.assessments.results import Publication, Published, Result
from domain.grading.ledger import Completion, CompletionKey, EmbeddingPurchase, Reservation, SpendingLimits
from domain.grading.model_grading import Call, GradingRequest, Reply
from domain.grading.reviews import Review
from domain.grading.rubrics import Essay
from domain.grading.scores import DegradedReason, EssayScore, Spent
from domain.ids import derived_id
from domain.privacy import Erasure, RetentionRule
from domain.recommending.calibration import Tally
from domain.recommending.recommendations import EarlierLearners, SearchHit
from domain.recommending.roles import Credential, Role
from domain.webhooks.deliveries import Answer, Delivery, DeliveryStatus, DueAttempt

Vector: TypeAlias = Sequence[float]
"""384 finite floats of Euclidean length 1."""

Output = TypeVar("Output")
Arguments = ParamSpec("Arguments")


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


class TextAnalysis(Protocol):
    """Runs functions over text that users wrote where they can be stopped."""

    async def run(
        self, function: Callable[Arguments, Output], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Output:
        """The function's result. The function belongs to a module, and all values can be pickled.

        Raises:
            AnalysisFailed: the function raised, or every try was stopped by its time limit, a crash or lack of memory.
        """
        ...


class EssayGrader(Protocol):
    """Grades essays by their rubrics. It returns levels; points are the rubric's."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        """One score an essay, in order; abstains (points None) where it has no ground.

        Raises:
            ExternalServiceError: the grader's service failed; a retry may help.
        """
        ...


class GradingModel(Protocol):
    """A language model that grades one essay by one rubric a call; it is asked for levels, never for points.

    `prompt_version` is the content hash of everything constant that it is told; `deadline_s` bounds a call.
    """

    model: str
    prompt_version: str
    deadline_s: float

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        """What the call costs at most; None where nobody knows the model's price."""
        ...

    async def buy(self, wanted: GradingRequest) -> Completion:
        """One answer, by one request that is the same for equal `wanted`.

        Raises:
            ModelUnavailable, ModelTimeout: a retry may help, after `retry_after_s` where the provider says so.
            ModelCircuitOpen, ModelBusy, ModelKeyRefused, ModelQuotaExhausted, ModelUnknown, ModelRequestRefused: no
                retry helps now.
            TextRefused, TextTooLong: the model will never grade this essay.
        """
        ...

    def read(self, raw: bytes) -> Reply:
        """What a raw reply says; never raises, whatever the bytes are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """Words and their vector. Only active credentials that teach one of `skills` are found, if it is given."""

    text: str
    vector: Vector
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """For each query its hits, best first, ties by credential id; why the search is less than configured, if it is."""

    hits: tuple[tuple[SearchHit, ...], ...]
    degraded_reason: DegradedReason | None = None


class CredentialIndex(Protocol):
    """Hybrid search (words and vectors) over the active credentials of the catalogue."""

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> Found:
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

    async def heal(self, assessment: Assessment) -> None:
        """Ensures a live run that improves a degraded result when its time comes."""
        ...

    async def heal_now(self, assessment: Assessment) -> None:
        """The same, without waiting."""
        ...

    async def reviewed(self, assessment: Assessment) -> None:
        """Ensures a live run that publishes what reviewers set."""
        ...

    async def live_revisions(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        """As `live`, for runs that make a later revision."""
        ...


class DeliveryRuns(Protocol):
    """The engine that runs deliveries. Each call may be repeated; a second one changes nothing.

    Raises:
        ExternalServiceError: the engine did not take the call in time; reconciliation repeats it.
    """

    async def start(self, delivery: Delivery) -> None:
        """Ensures a live run of a pending delivery."""
        ...

    async def redeliver_now(self, delivery: Delivery) -> None:
        """The same, and it does not wait for its next attempt."""
        ...

    async def live(self, deliveries: Sequence[Delivery]) -> frozenset[UUID]:
        """The ids of those with a live run, as far as the engine's index knows (seconds behind); at most 200 a call."""
        ...


class ErasureRuns(Protocol):
    """The engine that runs erasures. Each call may be repeated; a second one changes nothing.

    Raises:
        ExternalServiceError: the engine did not take the call in time; reconciliation repeats it.
    """

    async def start(self, erasure: Erasure) -> None:
        """Ensures a live run of an erasure that has begun."""
        ...

    async def live(self, erasures: Sequence[Erasure]) -> frozenset[UUID]:
        """The ids of those with a live run, as far as the engine's index knows (seconds behind); at most 200 a call."""
        ...


class LiveRuns(Protocol):
    """All the runs there are about assessments and deliveries."""

    async def stop(self, assessment_ids: Sequence[UUID], deliveries: Sequence[Delivery]) -> None:
        """Cancels those about these, and returns once none is left; one that does not end is terminated.

        Raises:
            ExternalServiceError: the engine did not take a call in time.
        """
        ...


class ErasureList(Protocol):
    """Who was erased, outside the database and its dumps."""

    async def add(self, user_id: UUID) -> None:
        """Durable when it returns; once, however often it is called."""
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

    async def healing(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Completed with a degraded result that is to be healed, by id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Generic[Output]):
    """How a step's job stood when an attempt began.

    `output` is there when the step has succeeded before. `lost` counts the attempts that ended without a record: their
    worker crashed, or their time ran out. `paused` means that the attempt must not run now: the one before it was
    lost, and the job is queued again.
    """

    output: Output | None = None
    lost: int = 0
    paused: bool = False


class Jobs(Protocol):
    """`async_jobs`: each step's state and output."""

    async def enqueue(self, keys: Sequence[JobKey]) -> None:
        """Rows `queued`; existing ones are left as they are."""
        ...

    async def restart(self, keys: Sequence[JobKey]) -> None:
        """Rows `queued`; what existing ones have put out is forgotten."""
        ...

    async def begin(self, key: JobKey, output: type[Output], *, pause: bool = False) -> Begun[Output]:
        """Marks an attempt as running, or returns the stored output when the step has succeeded before.

        A job that is still marked as running counts a lost attempt. With `pause` it is then queued again instead.
        """
        ...

    async def release(self, keys: Sequence[JobKey]) -> None:
        """Puts running jobs back to `queued`: their attempts ended well, and more are needed."""
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
            Conflict: it has none; the run takes the assessment to be further than it is.
        """
        ...

    async def outputs(self, keys: Sequence[JobKey], output: type[Output]) -> dict[JobKey, Output]:
        """The outputs of those steps that succeeded, in one round trip."""
        ...

    async def close_stale(self, *, older_than_s: float) -> int:
        """Closes rows that have been `running` for longer than any policy allows; returns how many."""
        ...


class ModelAnswers(Protocol):
    """The ledger. An answer that is there is never bought again."""

    async def bought(self, key: CompletionKey) -> dict[Call, bytes]:
        """The raw replies for the key's essay, versions, model and epoch, whichever call it names."""
        ...

    async def intend(self, intent: Reservation, limits: SpendingLimits) -> datetime:
        """Claims a call before it is made and reserves its highest price; a failed or lapsed claim is taken over.

        Returns when the claim lapses, which tells it from every other one.

        Raises:
            AnswerAwaited: somebody else's claim has not lapsed.
            BudgetSpent, AttemptsExceeded: the limits do not allow it.
            Conflict: the answer is there.
            Erased: the person is being erased.
        """
        ...

    async def keep(self, key: CompletionKey, answer: Completion) -> bytes:
        """Stores a reply, with the real price instead of the reserved one. The first one kept stays, and is returned.

        Raises:
            Erased: the person is being erased.
        """
        ...

    async def release(self, key: CompletionKey, claim: datetime) -> None:
        """Gives up the claim of a call that failed, and what it had reserved; another's claim is left alone."""
        ...

    async def epochs(self, assessment_id: UUID) -> dict[UUID, int]:
        """The highest epoch that answers were asked for in, by snapshot; none where none were."""
        ...

    async def spent(self, assessment_id: UUID) -> dict[UUID, Spent]:
        """What was spent on each essay of the assessment, by snapshot; none where no answer was bought."""
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


class Reviews(Protocol):
    """What people made of essays."""

    async def of(self, assessment_id: UUID) -> tuple[Review, ...]:
        """All of the assessment, oldest first: the last one of an item counts."""
        ...

    async def published(self, reviews: Sequence[UUID], revision: int) -> None:
        """Notes that a revision stands on the reviews; what an earlier one stood on stays noted."""
        ...

    async def unpublished(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Completed assessments with a review that no revision has, by id, from after `after`.

        Where an error has stopped later revisions a person must ask for them again.
        """
        ...

    async def labelled(self, assessment_id: UUID) -> dict[str, tuple[Anchor, ...]]:
        """Reviewed answers to the assessment's questions by others of its organization, by question version.

        The newest 64 of each, oldest first; a version that has none is left out. One round trip.
        """
        ...


class Results(Protocol):
    async def publish(self, assessment: Assessment, now: datetime, result: Result) -> Publication:
        """Writes a locked assessment's result as its next revision.

        Scores, recommendation, items, traces, metrics, audit rows, events and the revision in this transaction; the
        first one completes the assessment; the steps' payloads are cleared.

        Raises:
            InvalidAssessmentState: the assessment is neither awaiting a result nor completed.
        """
        ...

    async def fail(self, before: Assessment, after: Assessment) -> tuple[Delivery, ...]:
        """Writes a locked assessment's move to `failed` with its audit row and event; closes open jobs.

        The deliveries of the event are pending: somebody must start them.
        """
        ...

    async def published(self, assessment_id: UUID) -> Published:
        """What the current revision says.

        Raises:
            NotFound: there is none yet.
        """
        ...


class Deliveries(Protocol):
    """Deliveries to partners and the attempts at them. Each call is one statement."""

    async def due(self, delivery_id: UUID, attempt: int, now: datetime) -> DueAttempt:
        """What the delivery's `attempt`-th request (from 1) sends at `now`; takes a turn where there is a rate limit.

        Raises:
            NotFound: there is no such delivery.
        """
        ...

    async def record(
        self, delivery_id: UUID, attempt: int, now: datetime, answer: Answer, wait_s: float | None
    ) -> bool:
        """Writes an attempt down, and what follows for delivery and endpoint; `wait_s` None means it was the last.

        False, and nothing is changed, where that attempt is on record or the delivery is not pending any more.
        """
        ...

    async def close(self, delivery_id: UUID, status: DeliveryStatus, reason: str) -> DeliveryStatus:
        """Ends a pending delivery without another attempt, with an audit row; returns what its status is then.

        Raises:
            NotFound: there is no such delivery.
        """
        ...

    async def pending(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Delivery, ...]:
        """Pending ones that were made that long ago, by id, from after `after`."""
        ...


class Erasures(Protocol):
    """Forgetting people. Every call may be repeated."""

    async def begin(  # who is erased, and by whom
        self,
        user_id: UUID,
        *,
        organization_id: UUID | None,
        role: str | None = None,
        actor_id: UUID,
        actor_role: str,
    ) -> Erasure:
        """From the commit on nothing is written about the person, and no token of theirs is good; with an audit row.

        Only people of `organization_id` and of `role` may be erased; None stands for every one. An erasure that has
        begun goes on.

        Raises:
            NotFound: there is no such person, or they are erased.
            Conflict: they are the last admin.
        """
        ...

    async def confirm(self, user_id: UUID) -> None:
        """Raises NotFound where no erasure of such a person has begun."""
        ...

    async def unfinished(self, *, after: UUID | None, limit: int) -> tuple[Erasure, ...]:
        """Begun and not finished, by id, from after `after`."""
        ...

    async def assessments(self, user_id: UUID, *, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """The person's, by id, from after `after`."""
        ...

    async def pending_deliveries(self, assessment_ids: Sequence[UUID]) -> tuple[Delivery, ...]:
        """Of the events about these."""
        ...

    async def forget_assessments(self, assessment_ids: Sequence[UUID]) -> None:
        """Deletes or blanks what the person wrote and what was written about it; ends what is open."""
        ...

    async def forget_account(self, user_id: UUID) -> None:
        """Deletes or blanks the person's address, profile, sessions, credentials and remarks."""
        ...

    async def finish(self, user_id: UUID) -> None:
        """Notes that nothing is left, with an audit row."""
        ...


class AuditTrail(Protocol):
    async def seal(self, *, limit: int) -> int:
        """Links at most `limit` rows that are not sealed yet to the chain; returns how many."""
        ...


class Retention(Protocol):
    async def apply(self, rule: RetentionRule, *, days: int, limit: int) -> int:
        """Lets go of a batch that is older than `days` by the rule; returns how many rows, 0 when none is left."""
        ...


class Repositories(Protocol):
    """Everything that can be read and written in the database."""

    assessments: Assessments
    jobs: Jobs
    model_answers: ModelAnswers
    reviews: Reviews
    catalog: Catalog
    catalog_imports: CatalogImports
    results: Results
    deliveries: Deliveries
    erasures: Erasures
    audit: AuditTrail
    retention: Retention


class UnitOfWork(Repositories, Protocol):
    """A transaction. Nothing is kept unless `commit` is called."""

    async def commit(self) -> None: ...


class Database(Protocol):
    """Opens connections to the database. Never hold one open across a network call.

    Raises:
        StorageUnavailable: the database is away or overloaded, instead of the driver's error.
    """

    def transaction(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction. Leaving the block without `commit` rolls everything back."""
        ...

    def statement(self) -> AbstractAsyncContextManager[Repositories]:
        """Open a connection in autocommit, for reads or one writing statement.

        It saves the round trips of a transaction. A second write could be lost alone, so tests refuse it.
        """
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

    async def search(self, search_id: UUID, *, limit: int) -> Found:
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
