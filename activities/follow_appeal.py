"""Follow an appeal: record its reminder, that it is overdue, and the end of its run."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from temporalio import activity

from domain.appeals import AppealMark, AppealState
from domain.database import Database

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowInput:
    appeal_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The appeal afterwards. `overdue`: the time for the answer is over.

    `wait_s` is the time until the next mark of an open appeal; None: the run only waits for the answer.
    """

    state: AppealState
    overdue: bool = False
    wait_s: float | None = None


class FollowAppeal:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def follow_appeal(self, wanted: FollowInput) -> Followed:
        """Record what is due at the start of this activity. Nothing is recorded twice.

        Raises:
            NotFound: the appeal does not exist, for example because its student was erased.
        """
        now = activity.info().started_time
        async with self._database.transaction() as uow:
            appeal = await uow.appeals.lock(wanted.appeal_id)
            marks = appeal.marks_due(now)
            for mark in marks:
                await uow.appeals.mark(appeal, mark, now)
            await uow.commit()
        about = {"appeal_id": str(appeal.id), "assessment_id": str(appeal.assessment_id)}
        if AppealMark.REMINDED in marks:
            log.info("appeal_reminded", **about)
        if AppealMark.OVERDUE in marks:
            log.warning("appeal_overdue", **about)
        next_at = appeal.next_mark_at(now)
        return Followed(
            state=appeal.state,
            overdue=appeal.overdue_at is not None or AppealMark.OVERDUE in marks,
            wait_s=None if next_at is None else (next_at - now).total_seconds(),
        )
