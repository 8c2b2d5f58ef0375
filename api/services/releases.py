"""Release held results: one in the caller's transaction, or many with one transaction each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final
from uuid import UUID

from api.services.item_errors import ItemError, item_error
from api.services.use_cases import UseCases, lock_visible
from api.workflow_engine import notify_all, notify_engine
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.errors import InvalidAssessmentState, NotFound, StorageUnavailable
from domain.webhooks.deliveries import Delivery
from persistence.queries.views import AccessScope, Actor
from persistence.request_database import RequestDatabase

MAX_RELEASES: Final = 1000
"""Maximum number of results of one request."""
CONCURRENT_RELEASES: Final = 4
"""Each release in progress holds a database connection, which other requests need too."""


class NotReleased(StrEnum):
    """Why a result was not released.

    `review_pending`: a review is stored, and its revision is published within seconds. `unavailable`: the database
    failed during this request. `error`: an unexpected error about this result.
    """

    ALREADY_RELEASED = "already_released"
    NOT_FOUND = "not_found"
    NO_RESULT = "no_result"
    REVIEW_PENDING = "review_pending"
    UNAVAILABLE = "unavailable"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReceipt:
    """The released assessment. `changed` is false if it was released before. The `deliveries` must be started."""

    assessment: Assessment
    released_at: datetime | None
    changed: bool
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOutcome:
    """The outcome for one result. `reason` None: it was released. `error` belongs to the reason `error`."""

    assessment_id: UUID
    reason: NotReleased | None = None
    error: ItemError | None = None


class ReleaseService(UseCases):
    """Use cases of one transaction. The caller commits and then starts the deliveries."""

    async def release(self, assessment_id: UUID, scope: AccessScope, actor: Actor) -> ReleaseReceipt:
        """Show the current revision to the student and to partners. A released result does not change.

        Raises:
            NotFound: the assessment does not exist or is outside the scope.
            InvalidAssessmentState: there is no result, or a review of it is not published yet.
        """
        before, _ = await lock_visible(self._uow.assessments.lock(assessment_id), scope)
        if before.status is not AssessmentStatus.COMPLETED:
            raise _refused(NotReleased.NO_RESULT, f"Assessment is {before.status}, there is no result to release")
        candidate = await self._uow.releases.candidate(assessment_id)
        if not before.held:
            released_at = candidate.released_at or before.completed_at
            return ReleaseReceipt(assessment=before, released_at=released_at, changed=False)
        if candidate.review_pending:
            text = "A review of this result is being published. Repeat the request in a few seconds"
            raise _refused(NotReleased.REVIEW_PENDING, text)
        after = before.release()
        released_at, deliveries = await self._uow.releases.release(before, after, candidate, actor.id)
        return ReleaseReceipt(assessment=after, released_at=released_at, changed=True, deliveries=deliveries)


class BulkReleaseService:
    """Release many results. Each has its own transaction, so an interrupted request can be repeated."""

    def __init__(self, database: RequestDatabase, start_delivery: Callable[[Delivery], Awaitable[None]]) -> None:
        self._database = database
        self._start_delivery = start_delivery
        self._slots = asyncio.Semaphore(CONCURRENT_RELEASES)
        self._unavailable = False

    async def release(self, assessment_ids: Sequence[UUID], scope: AccessScope, actor: Actor) -> list[ReleaseOutcome]:
        """Release the results and return the outcome of each, in the same order.

        When the database fails, the results that are left are reported as `unavailable`. Any other error is reported
        for its result only.
        """
        distinct = dict.fromkeys(assessment_ids)
        return await asyncio.gather(*(self._release(each, scope, actor) for each in distinct))

    async def _release(self, assessment_id: UUID, scope: AccessScope, actor: Actor) -> ReleaseOutcome:
        async with self._slots:
            try:
                reason = await self._attempt(assessment_id, scope, actor)
            except Exception as error:  # noqa: BLE001  # the other results must get their own outcomes
                found = item_error("release_failed", error, assessment_id=str(assessment_id))
                return ReleaseOutcome(assessment_id=assessment_id, reason=NotReleased.ERROR, error=found)
            return ReleaseOutcome(assessment_id=assessment_id, reason=reason)

    async def _attempt(self, assessment_id: UUID, scope: AccessScope, actor: Actor) -> NotReleased | None:
        if self._unavailable:
            return NotReleased.UNAVAILABLE
        try:
            async with self._database.transaction() as uow:
                receipt = await ReleaseService(uow).release(assessment_id, scope, actor)
                await uow.commit()
        except NotFound:
            return NotReleased.NOT_FOUND
        except InvalidAssessmentState as error:
            return NotReleased(str((error.details or {})["reason"]))
        except StorageUnavailable:
            self._unavailable = True
            return NotReleased.UNAVAILABLE
        await notify_all(partial(notify_engine, self._start_delivery, each) for each in receipt.deliveries)
        return None if receipt.changed else NotReleased.ALREADY_RELEASED


def _refused(reason: NotReleased, text: str) -> InvalidAssessmentState:
    return InvalidAssessmentState(text, details={"reason": reason.value})
