"""Start the workflows that should run according to Postgres but do not. Every action is idempotent."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from temporalio import activity

from activities.copies import CopySearch
from activities.sweeping import PAGE, Rows, Subject, Sweep, Tally, Turn, walk
from activities.text_analysis import IN_PROCESS
from domain.account_links import LinkMail, LinkMailRuns
from domain.appeals import Appeal, AppealRuns, AppealState
from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import AssessmentRuns
from domain.database import Database, Repositories
from domain.errors import ExternalServiceError, InvalidInput, StorageUnavailable
from domain.grading.ports import TextAnalysis
from domain.privacy import Erasure, ErasureRuns
from domain.recommending.ports import CatalogRuns
from domain.rescores.ports import RescoreRuns
from domain.rescores.rescores import Rescore
from domain.sweeps import Concern, Cursor
from domain.webhooks.deliveries import Delivery
from domain.webhooks.ports import DeliveryRuns

UNCLAIMED_AFTER_S: Final = 15.0
STUCK_AFTER_S: Final = 60.0
"""How long after its claim an assessment is looked at. Most results are published earlier."""
UNDELIVERED_AFTER_S: Final = 15.0
UNEMBEDDED_AFTER_S: Final = 15.0
UNFOLLOWED_AFTER_S: Final = 15.0
UNSENT_AFTER_S: Final = 15.0
STALE_AFTER_S: Final = 3600.0
WITHOUT_FINGERPRINT_AFTER_S: Final = 600.0
"""How long after its publication a result is looked at. By then every result that was published before it is visible,
so the sweep misses none."""
SEALED_AT_ONCE: Final = 1000
BUDGET_S: Final = 45.0
"""The time of one sweep. The next one continues where it stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepInput:
    """`concern` is a value of `Concern`."""

    concern: str = Concern.UNCLAIMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The result of a sweep: the numbers of rows looked at, of started runs, and of failures by error code.

    If not `complete`, the time was over and the next sweep continues. `fingerprints` always continues after the last
    result that it looked at, so it is never complete. For `review_queue`, `fingerprints`, `jobs` and `audit`, `started`
    counts the corrected assessments, those with new fingerprints, the closed jobs and the sealed entries.
    """

    concern: str = ""
    rows: int = 0
    started: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True


class Reconcile:
    """`minute` is the current minute of the hour; see `activities.sweeping.Turn`."""

    def __init__(  # noqa: PLR0913, PLR0917  # one port per kind of run
        self,
        database: Database,
        runs: AssessmentRuns,
        delivery_runs: DeliveryRuns,
        erasure_runs: ErasureRuns,
        catalog_runs: CatalogRuns,
        appeal_runs: AppealRuns,
        rescore_runs: RescoreRuns,
        link_mail_runs: LinkMailRuns,
        *,
        analysis: TextAnalysis = IN_PROCESS,
        budget_s: float = BUDGET_S,
        minute: Callable[[], int] = lambda: datetime.now(UTC).minute,
    ) -> None:
        self._database = database
        self._catalog_runs = catalog_runs
        self._copies = CopySearch(database=database, analysis=analysis)
        self._budget_s = budget_s
        self._minute = minute
        self._sweeps: Mapping[Concern, Sweep[Any]] = {
            Concern.UNCLAIMED: Sweep(read=_unclaimed, ensure=runs.resume),
            Concern.CLAIMED: Sweep(read=_claimed, ensure=runs.resume, live=_by_ids(runs.live)),
            Concern.EXPIRY: Sweep(read=_due, ensure=runs.resume),
            Concern.HEALING: Sweep(read=_degraded, ensure=_started(runs.heal), live=_by_ids(runs.live_revisions)),
            Concern.REVIEWS: Sweep(read=_reviewed, ensure=runs.resume_review),
            Concern.DELIVERIES: Sweep(read=_overdue, ensure=_started(delivery_runs.start), live=delivery_runs.live),
            Concern.ERASURES: Sweep(read=_erasing, ensure=_started(erasure_runs.start), live=erasure_runs.live),
            Concern.APPEALS: Sweep(read=_unended, ensure=_followed(appeal_runs), live=_open_and_live(appeal_runs)),
            Concern.RESCORES: Sweep(read=_rescoring, ensure=_started(rescore_runs.start), live=rescore_runs.live),
            Concern.LINK_MAILS: Sweep(read=_unsent, ensure=_started(link_mail_runs.start), live=link_mail_runs.live),
        }

    @activity.defn
    async def reconcile(self, wanted: SweepInput = SweepInput()) -> Swept:
        """Sweep one concern within the time budget, and record the end of the sweep.

        Older builds call this without an input.

        Raises:
            InvalidInput: this build does not know the concern.
        """
        if wanted.concern not in set(Concern):
            raise InvalidInput(f"This build does not know the concern {wanted.concern}")
        concern = Concern(wanted.concern)
        tally, cursor = await self._swept(concern)
        async with self._database.statement() as uow:
            await uow.sweeps.record(concern, cursor)
        return Swept(
            concern=concern,
            rows=tally.rows,
            started=tally.started,
            errors=dict(tally.errors),
            complete=cursor is None,
        )

    async def _swept(self, concern: Concern) -> tuple[Tally, Cursor | None]:
        if concern in self._sweeps:
            sweep, after = self._sweeps[concern], await self._cursor(concern)
            turn = Turn(minute=self._minute(), minutes=concern.interval_factor)
            return await walk(self._database, sweep, after, budget_s=self._budget_s, turn=turn)
        if concern is Concern.REVIEW_QUEUE:
            return await self._correct_review_queue(await self._cursor(concern))
        if concern is Concern.FINGERPRINTS:
            return await self._add_fingerprints(await self._cursor(concern))
        tally = Tally()
        match concern:
            case Concern.IMPORTS:
                await self._embed_imports(tally)
            case Concern.JOBS:
                tally.rows = tally.started = await self._close_stale()
            case _:
                tally.rows = tally.started = await self._seal()
        return tally, None

    async def _embed_imports(self, tally: Tally) -> None:
        """Start one workflow for all imports. It starts before an import is closed, so it covers each of them."""
        async with self._database.statement() as uow:
            tally.rows = await uow.catalog_imports.unfinished(older_than_s=UNEMBEDDED_AFTER_S)
        if not tally.rows:
            return
        try:
            await self._catalog_runs.start()
        except ExternalServiceError as error:
            tally.failed(error)
            return
        tally.started = 1
        async with self._database.statement() as uow:
            await uow.catalog_imports.close_embedded(older_than_s=UNEMBEDDED_AFTER_S)

    async def _cursor(self, concern: Concern) -> Cursor | None:
        async with self._database.statement() as uow:
            return await uow.sweeps.cursor(concern)

    async def _correct_review_queue(self, after: Cursor | None) -> tuple[Tally, Cursor | None]:
        """Add the results of a release without the queue, and of the time before its migration."""
        ends, tally = time.monotonic() + self._budget_s, Tally()
        while True:
            async with self._database.transaction() as uow:
                repaired = await uow.review_queue.repair(after=after, limit=PAGE)
                await uow.commit()
            tally.rows = tally.started = tally.started + repaired.number
            after = repaired.next
            if after is None or time.monotonic() >= ends:
                return tally, after

    async def _add_fingerprints(self, after: Cursor | None) -> tuple[Tally, Cursor | None]:
        """Add the fingerprints of answers that a release without fingerprints graded, in the order of the results.

        A result without its fingerprints because of an error is skipped, except while the database is unavailable.
        """
        ends, tally = time.monotonic() + self._budget_s, Tally()
        while True:
            async with self._database.statement() as uow:
                page = await uow.fingerprints.published(
                    after=after, older_than_s=WITHOUT_FINGERPRINT_AFTER_S, limit=PAGE
                )
            for answers in page:
                if answers.missing:
                    if time.monotonic() >= ends and tally.rows:
                        return tally, after
                    await self._add_missing(answers.assessment_id, tally)
                after = Cursor(id=answers.assessment_id, at=answers.published_at)
                tally.rows += 1
            if len(page) < PAGE or time.monotonic() >= ends:
                return tally, after

    async def _add_missing(self, assessment_id: UUID, tally: Tally) -> None:
        try:
            tally.started += await self._copies.add_missing(assessment_id)
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # counted; an answer that cannot be read must not stop the others
            tally.failed(error, assessment_id)

    async def _close_stale(self) -> int:
        async with self._database.statement() as uow:
            return await uow.jobs.close_stale(older_than_s=STALE_AFTER_S)

    async def _seal(self) -> int:
        """Seal the audit entries written since the last sweep, as many as the time allows."""
        sealed, ends = 0, time.monotonic() + self._budget_s
        while True:
            async with self._database.transaction() as uow:
                batch = await uow.audit.seal(limit=SEALED_AT_ONCE)
                await uow.commit()
            sealed += batch
            if batch < SEALED_AT_ONCE or time.monotonic() >= ends:
                return sealed


def _started(start: Callable[[Subject], Awaitable[None]]) -> Callable[[Subject], Awaitable[bool]]:
    async def ensure(subject: Subject) -> bool:
        await start(subject)
        return True

    return ensure


def _by_ids(
    live: Callable[[Sequence[UUID]], Awaitable[frozenset[UUID]]],
) -> Callable[[Sequence[Assessment]], Awaitable[frozenset[UUID]]]:
    async def live_of(assessments: Sequence[Assessment]) -> frozenset[UUID]:
        return await live([each.id for each in assessments])

    return live_of


async def _unclaimed(uow: Repositories, after: Cursor | None) -> Rows[Assessment]:
    return _by_id(await uow.assessments.unclaimed(older_than_s=UNCLAIMED_AFTER_S, after=_id(after), limit=PAGE))


async def _claimed(uow: Repositories, after: Cursor | None) -> Rows[Assessment]:
    return _by_id(await uow.assessments.claimed(older_than_s=STUCK_AFTER_S, after=_id(after), limit=PAGE))


async def _due(uow: Repositories, after: Cursor | None) -> Rows[Assessment]:
    due = await uow.assessments.due(after=after, limit=PAGE)
    return [(Cursor(id=each.id, at=each.expires_at), each) for each in due]


async def _degraded(uow: Repositories, after: Cursor | None) -> Rows[Assessment]:
    return _by_id(await uow.assessments.healing(after=_id(after), limit=PAGE))


async def _reviewed(uow: Repositories, after: Cursor | None) -> Rows[Assessment]:
    return _by_id(await uow.reviews.unpublished(after=_id(after), limit=PAGE))


async def _overdue(uow: Repositories, after: Cursor | None) -> Rows[Delivery]:
    overdue = await uow.deliveries.overdue(late_s=UNDELIVERED_AFTER_S, after=after, limit=PAGE)
    return [(Cursor(id=each.id, at=at), each) for at, each in overdue]


async def _erasing(uow: Repositories, after: Cursor | None) -> Rows[Erasure]:
    return _by_id(await uow.erasures.unfinished(after=_id(after), limit=PAGE))


async def _unended(uow: Repositories, after: Cursor | None) -> Rows[Appeal]:
    return _by_id(await uow.appeals.unended(older_than_s=UNFOLLOWED_AFTER_S, after=_id(after), limit=PAGE))


async def _rescoring(uow: Repositories, after: Cursor | None) -> Rows[Rescore]:
    return _by_id(await uow.rescores.working(after=_id(after), limit=PAGE))


async def _unsent(uow: Repositories, after: Cursor | None) -> Rows[LinkMail]:
    return _by_id(await uow.link_mails.unsent(older_than_s=UNSENT_AFTER_S, after=_id(after), limit=PAGE))


def _followed(runs: AppealRuns) -> Callable[[Appeal], Awaitable[bool]]:
    """Start the run of an open appeal. Signal the run of a closed one with a start, so that it ends."""

    async def ensure(appeal: Appeal) -> bool:
        await (runs.start if appeal.state is AppealState.OPEN else runs.closed)(appeal)
        return True

    return ensure


def _open_and_live(runs: AppealRuns) -> Callable[[Sequence[Appeal]], Awaitable[frozenset[UUID]]]:
    async def live_of(appeals: Sequence[Appeal]) -> frozenset[UUID]:
        live = await runs.live(appeals)
        return frozenset(each.id for each in appeals if each.state is AppealState.OPEN and each.id in live)

    return live_of


def _id(after: Cursor | None) -> UUID | None:
    return after.id if after else None


def _by_id(subjects: tuple[Subject, ...]) -> Rows[Subject]:
    return [(Cursor(id=each.id), each) for each in subjects]
