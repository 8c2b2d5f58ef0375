"""Ports of re-scores: their repository, and the workflow engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.assessments.questions import Question
from domain.grading.scores import EssayScore
from domain.rescores.comparison import PublishedResult
from domain.rescores.differences import Comparison, Proposal
from domain.rescores.rescores import Rescore, SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class UngradedAssessment:
    """An assessment whose essays must be graded before it can be compared."""

    assessment_id: UUID
    run: int
    revision: int
    essays: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDifference:
    """A difference that is not finished. `graded` has the new scores of its essays so far, `ungraded` the rest."""

    assessment_id: UUID
    graded: tuple[EssayScore, ...]
    ungraded: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenDifference:
    """A difference to publish, with the run and revision that it was computed from."""

    run: int
    revision: int
    proposal: Proposal


class Rescores(Protocol):
    """The repository of re-scores and their differences."""

    async def get(self, rescore_id: UUID) -> Rescore:
        """Read a re-score. Raise NotFound if it does not exist."""
        ...

    async def questions(self, rescore: Rescore) -> dict[UUID, Question]:
        """Return the active questions of the re-score's role, or its one question, by id."""
        ...

    async def begin(self, rescore: Rescore) -> None:
        """Change `queued` to `computing`, and count the assessments. Idempotent."""
        ...

    async def next_results(self, rescore: Rescore, limit: int) -> tuple[PublishedResult, ...]:
        """Return the results of the next assessments after the cursor, by id. Users being erased are left out."""
        ...

    async def results(self, assessment_ids: Sequence[UUID]) -> tuple[PublishedResult, ...]:
        """Return the current results of completed assessments, by id. Users being erased are left out."""
        ...

    async def add_batch(
        self, rescore: Rescore, finished: Sequence[Comparison], pending: Sequence[UngradedAssessment]
    ) -> bool:
        """Store the differences of the next assessments and move the cursor to the last one.

        Return False, and store nothing, if another execution has moved the cursor or the re-score is not computing.
        """
        ...

    async def pending(self, rescore_id: UUID) -> tuple[PendingDifference, ...]:
        """Return the unfinished differences of the current batch, by assessment."""
        ...

    async def add_essay(self, rescore_id: UUID, assessment_id: UUID, score: EssayScore) -> None:
        """Store the new score of an essay, if its difference is still pending."""
        ...

    async def finish_batch(self, rescore: Rescore, finished: Sequence[Comparison], dropped: Sequence[UUID]) -> None:
        """Store finished differences, delete the dropped ones, and update progress and costs. Idempotent."""
        ...

    async def end_computation(self, rescore_id: UUID, stop_reason: str | None = None) -> None:
        """Change `queued` or `computing` to `computed`, or to `stopped` with a reason. Write the audit row once.

        Pending differences are deleted. A stopped application leaves its differences as they were before it.
        """
        ...

    async def next_chosen(self, rescore_id: UUID, limit: int) -> tuple[UUID, ...]:
        """Return assessments whose differences are to be applied, by id."""
        ...

    async def chosen(self, rescore_id: UUID, assessment_id: UUID) -> ChosenDifference | None:
        """Return a difference that is to be applied; None if it was applied, skipped or deleted."""
        ...

    async def applied(self, rescore_id: UUID, assessment_id: UUID, revision: int, proposal: Proposal) -> None:
        """Record the revision, and make the proposal's question versions those of the assessment's items."""
        ...

    async def skipped(self, rescore_id: UUID, assessment_id: UUID, reason: SkipReason) -> None:
        """Record why a difference was not applied."""
        ...

    async def end_application(self, rescore_id: UUID) -> None:
        """Change `applying` to the resting status unless differences are left to apply."""
        ...

    async def delete_differences(self, rescore_id: UUID, *, limit: int) -> int:
        """Delete at most `limit` differences of a discarded re-score. Return their number.

        When none is left, change `discarding` to `discarded`.
        """
        ...

    async def working(self, *, after: UUID | None, limit: int) -> tuple[Rescore, ...]:
        """Return the re-scores that need a live run, by id, after `after`."""
        ...


class RescoreRuns(Protocol):
    """The workflow engine, for re-scores. Every call is idempotent.

    Raises:
        ExternalServiceError: the engine did not accept the call in time. Reconciliation repeats it.
    """

    async def start(self, rescore: Rescore) -> None:
        """Start the run that continues the re-score, or make the live run check the re-score again."""
        ...

    async def live(self, rescores: Sequence[Rescore]) -> frozenset[UUID]:
        """Return the ids with a live run. The engine's index lags by seconds. At most 200 ids a call."""
        ...
