"""Ports of assessments: repositories of assessments, jobs and results, and the workflow engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import Item
from domain.assessments.results import Publication, Published, Result
from domain.ids import derived_id
from domain.sweeps import Cursor
from domain.webhooks.deliveries import Delivery

Output = TypeVar("Output")


class AssessmentRuns(Protocol):
    """The workflow engine, for assessments. Every call is idempotent.

    Raises:
        ExternalServiceError: the engine did not accept the call in time. Reconciliation repeats it.
    """

    async def submit(self, assessment: Assessment) -> None:
        """Start the run of a submitted assessment. A live run is signalled instead: an earlier release started it."""
        ...

    async def resume(self, assessment: Assessment) -> bool:
        """Start the run of a submitted or expired assessment, unless one is live. Return whether it was started.

        A live run is signalled instead, at most once an hour, because it may have missed the submission.
        """
        ...

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Return the ids with a live run. The engine's index lags by seconds. At most 200 ids a call."""
        ...

    async def heal(self, assessment: Assessment) -> None:
        """Start the run that heals a degraded result at its scheduled time, unless one is live."""
        ...

    async def heal_now(self, assessment: Assessment) -> None:
        """Heal a degraded result immediately."""
        ...

    async def reviewed(self, assessment: Assessment) -> None:
        """Start or signal the run that publishes the reviewers' levels."""
        ...

    async def resume_review(self, assessment: Assessment) -> bool:
        """Do what `resume` does, for the run that publishes the reviewers' levels."""
        ...

    async def live_revisions(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Return the ids with a live run that makes a later revision. Limits as for `live`."""
        ...


class LiveRuns(Protocol):
    """The live runs of assessments, appeals and deliveries."""

    async def stop(
        self, assessment_ids: Sequence[UUID], deliveries: Sequence[Delivery], appeal_ids: Sequence[UUID] = ()
    ) -> None:
        """Cancel every run of these assessments, appeals and deliveries, and wait until all have ended.

        A run that does not end after its cancellation is terminated.

        Raises:
            ExternalServiceError: the engine did not accept a call in time.
        """
        ...

    async def delete(self, assessment_ids: Sequence[UUID], appeal_ids: Sequence[UUID] = ()) -> int:
        """Delete the runs of these assessments and appeals with their histories, also earlier ones; return the number.

        Raises:
            ExternalServiceError: the engine did not accept a call in time.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKey:
    """The key of a job: a step of a run, and the item if the step has one. `revision` is the next one (from 1)."""

    assessment_id: UUID
    run: int
    revision: int
    step: str
    item: UUID | None = None

    @property
    def id(self) -> UUID:
        return derived_id("job", self.assessment_id, self.run, self.revision, self.step, self.item)


class Assessments(Protocol):
    """The repository of assessments. `lock` serialises all writes to one assessment."""

    async def lock(self, assessment_id: UUID) -> tuple[Assessment, datetime]:
        """Lock the assessment until the transaction ends. Return it with the database's current time.

        Raises:
            NotFound: the assessment does not exist.
            Erased: its user is being erased.
        """
        ...

    async def save(self, before: Assessment, after: Assessment, *, actor: UUID | None = None) -> None:
        """Write a transition and its audit row. `actor` None means the system.

        Raises:
            Conflict: the row no longer matches `before`.
        """
        ...

    async def get(self, assessment_id: UUID) -> Assessment:
        """Read the assessment without a lock.

        Raises:
            NotFound: the assessment does not exist.
        """
        ...

    async def items(self, assessment_id: UUID) -> tuple[Item, ...]:
        """Return all questions of the assessment in order, with their answers."""
        ...

    async def unclaimed(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Return assessments submitted at least `older_than_s` seconds ago and not claimed, by id, after `after`."""
        ...

    async def claimed(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Return submitted assessments claimed at least `older_than_s` seconds ago and unfinished, by id."""
        ...

    async def due(self, *, after: Cursor | None, limit: int) -> tuple[Assessment, ...]:
        """Return assessments in progress that are past `expires_at`, by `expires_at` and id."""
        ...

    async def healing(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Return completed assessments whose healing is due, by id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Generic[Output]):
    """The state of a step's job at the start of an attempt.

    `output` is set if the step has already succeeded. `lost` counts the attempts that ended without a record, because
    their worker crashed or they timed out. `paused` means that this attempt must not run now: the previous attempt was
    lost, and the job is queued again.
    """

    output: Output | None = None
    lost: int = 0
    paused: bool = False


class Jobs(Protocol):
    """The repository of `async_jobs`: the state and output of each step."""

    async def enqueue(self, keys: Sequence[JobKey]) -> None:
        """Insert rows as `queued`. Existing rows do not change."""
        ...

    async def restart(self, keys: Sequence[JobKey]) -> None:
        """Insert rows as `queued`, or reset existing rows to `queued` and delete their outputs."""
        ...

    async def begin(self, key: JobKey, output: type[Output], *, pause: bool = False) -> Begun[Output]:
        """Mark an attempt as running, or return the stored output if the step has already succeeded.

        If the job is still marked as running, count a lost attempt. With `pause`, queue such a job again instead.
        """
        ...

    async def begin_all(
        self, keys: Sequence[JobKey], output: type[Output], *, pause: bool = False
    ) -> dict[JobKey, Begun[Output]]:
        """Do what `begin` does for at least one job, in one statement."""
        ...

    async def release(self, keys: Sequence[JobKey]) -> None:
        """Set running jobs back to `queued`, because their attempts ended normally and the step needs more."""
        ...

    async def succeed(self, key: JobKey, output: object) -> None:
        """Store the output and close the row. `Results.publish` closes the row of the step that publishes.

        Raises:
            Conflict: the run has ended or a newer one has begun, so the output is not needed.
            Erased: the user is being erased.
        """
        ...

    async def succeed_all(self, outputs: Mapping[JobKey, object]) -> None:
        """Do what `succeed` does for at least one job of one run and revision, in one statement."""
        ...

    async def fail(self, keys: Sequence[JobKey], code: str) -> None:
        """Record a failed attempt with the error's code for each job that is queued or running.

        The next attempt reopens it.
        """
        ...

    async def output(self, key: JobKey, output: type[Output]) -> Output:
        """Return the output of a succeeded step.

        Raises:
            Conflict: the step has no output. The run is ahead of the database, for example after a restore.
        """
        ...

    async def outputs(self, keys: Sequence[JobKey], output: type[Output]) -> dict[JobKey, Output]:
        """Return the outputs of the steps that have succeeded, in one round trip."""
        ...

    async def close_stale(self, *, older_than_s: float) -> int:
        """Close rows that have been `running` for more than `older_than_s` seconds. Return their number."""
        ...


class Results(Protocol):
    async def publish(self, assessment: Assessment, now: datetime, result: Result) -> Publication:
        """Write the result of a locked assessment as its next revision.

        One transaction writes scores, recommendation, items, traces, metrics, audit rows, events and the revision. It
        clears the steps' payloads and stores the publication as the output of the step that publishes. The first
        revision also completes the assessment. The organization's release policy decides whether the revision is held;
        a held one has no `completed` or `updated` event.

        Raises:
            InvalidAssessmentState: the assessment is neither awaiting a result nor completed.
        """
        ...

    async def fail(self, before: Assessment, after: Assessment) -> tuple[Delivery, ...]:
        """Write a locked assessment's transition to `failed` with its audit row and event, and close open jobs.

        The returned deliveries of the event are pending. The caller must start them.
        """
        ...

    async def published(self, assessment_id: UUID) -> Published:
        """Read the current revision.

        Raises:
            NotFound: no revision has been published.
        """
        ...
