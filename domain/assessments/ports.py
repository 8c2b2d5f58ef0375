"""Ports of assessments: their rows, jobs and results, and the engine that runs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import Item
from domain.assessments.results import Publication, Published, Result
from domain.ids import derived_id
from domain.webhooks.deliveries import Delivery

Output = TypeVar("Output")


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


class LiveRuns(Protocol):
    """All the runs there are about assessments and deliveries."""

    async def stop(self, assessment_ids: Sequence[UUID], deliveries: Sequence[Delivery]) -> None:
        """Cancels those about these, and returns once none is left; one that does not end is terminated.

        Raises:
            ExternalServiceError: the engine did not take a call in time.
        """
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
