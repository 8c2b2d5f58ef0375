"""Appeals as workflows use them: their marks, and the appeals whose workflow must run."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.appeals import Appeal, AppealMark, AppealState
from domain.errors import NotFound
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.tables import AppealRow, QuestionSnapshotRow
from persistence.tables.base import table_of

_FIRST: Final = UUID(int=0)

_appeals: Final = table_of(AppealRow)
_snapshots: Final = table_of(QuestionSnapshotRow)

_APPEAL: Final = select(
    _appeals.c.id,
    _appeals.c.assessment_id,
    _appeals.c.question_snapshot_id.label("snapshot_id"),
    _snapshots.c.question_id,
    _appeals.c.organization_id,
    _appeals.c.user_id,
    _appeals.c.role_id,
    _appeals.c.revision,
    _appeals.c.state,
    _appeals.c.reminder_due_at,
    _appeals.c.answer_due_at,
    _appeals.c.reminded_at,
    _appeals.c.overdue_at,
    _appeals.c.run_ended_at,
).join(_snapshots, _snapshots.c.id == _appeals.c.question_snapshot_id)
_ONE: Final = _APPEAL.where(_appeals.c.id == bindparam("appeal_id"))
_LOCKED: Final = _ONE.with_for_update(of=_appeals)
# An older open appeal needs no run before its next mark is due, so the sweep costs nothing while appeals wait.
_NEEDS_RUN: Final = text("""
appeals.updated_at <= now() - make_interval(secs => :older_than_s) AND (
  state <> 'open' OR appeals.created_at > now() - interval '1 day'
  OR reminded_at IS NULL AND reminder_due_at <= now() - interval '1 minute'
  OR overdue_at IS NULL AND answer_due_at <= now() - interval '1 minute')
""")
_UNENDED: Final = (
    _APPEAL.where(
        _appeals.c.run_ended_at.is_(None),
        _NEEDS_RUN,
        text("NOT EXISTS (SELECT FROM users WHERE users.id = user_id AND users.status IN ('erasing', 'erased'))"),
        _appeals.c.id > bindparam("after"),
    )
    .order_by(_appeals.c.id)
    .limit(bindparam("limit"))
)
_COLUMNS: Final = {
    AppealMark.REMINDED: _appeals.c.reminded_at,
    AppealMark.OVERDUE: _appeals.c.overdue_at,
    AppealMark.RUN_ENDED: _appeals.c.run_ended_at,
}
_AUDITED: Final = frozenset({AppealMark.REMINDED, AppealMark.OVERDUE})


class SqlAppeals(Repository):
    async def get(self, appeal_id: UUID) -> Appeal:
        return _found(appeal_id, (await self._session.execute(_ONE, {"appeal_id": appeal_id})).mappings().one_or_none())

    async def lock(self, appeal_id: UUID) -> Appeal:
        row = (await self._session.execute(_LOCKED, {"appeal_id": appeal_id})).mappings().one_or_none()
        return _found(appeal_id, row)

    async def mark(self, appeal: Appeal, mark: AppealMark, now: datetime) -> None:
        await self._session.execute(update(_appeals).where(_appeals.c.id == appeal.id).values({_COLUMNS[mark]: now}))
        if mark in _AUDITED:
            await record(self._session, f"appeal.{mark}", appeal)

    async def unended(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Appeal, ...]:
        page = {"older_than_s": older_than_s, "after": after or _FIRST, "limit": limit}
        rows = await self._session.execute(_UNENDED, page)
        return tuple(_appeal(row) for row in rows.mappings())


async def record(
    session: AsyncSession, action: str, appeal: Appeal, actor: Actor | None = None, **details: object
) -> None:
    """Write an audit row about the appeal."""
    about = {"assessment_id": appeal.assessment_id, "question_id": appeal.question_id, "revision": appeal.revision}
    await audit.record(session, actor, action, "appeal", appeal.id, appeal.organization_id, **about, **details)


def _found(appeal_id: UUID, row: RowMapping | None) -> Appeal:
    if row is None:
        raise NotFound(f"Appeal {appeal_id} does not exist")
    return _appeal(row)


def _appeal(row: RowMapping) -> Appeal:
    values: dict[str, Any] = {**row, "state": AppealState(row["state"])}
    return Appeal(**values)
