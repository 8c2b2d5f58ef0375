"""The repository of `sweeps`: when the last sweep of each concern ended, and where the next one continues."""

from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from domain.sweeps import Concern, Cursor
from persistence.repositories.base import Repository
from persistence.tables import SweepRow
from persistence.tables.base import table_of

_sweeps: Final = table_of(SweepRow)

_CURSOR: Final = select(_sweeps.c.cursor_id, _sweeps.c.cursor_at).where(_sweeps.c.concern == bindparam("concern"))

_RECORD: Final = (
    insert(_sweeps)
    .values(
        concern=bindparam("concern"),
        cursor_id=bindparam("cursor_id"),
        cursor_at=bindparam("cursor_at"),
        swept_at=func.now(),
    )
    .on_conflict_do_update(
        index_elements=["concern"],
        set_={"cursor_id": bindparam("cursor_id"), "cursor_at": bindparam("cursor_at"), "swept_at": func.now()},
    )
)


class SqlSweeps(Repository):
    async def cursor(self, concern: Concern) -> Cursor | None:
        row = (await self._session.execute(_CURSOR, {"concern": concern.value})).one_or_none()
        return Cursor(id=row.cursor_id, at=row.cursor_at) if row is not None and row.cursor_id else None

    async def record(self, concern: Concern, cursor: Cursor | None) -> None:
        position = (
            {"cursor_id": cursor.id, "cursor_at": cursor.at} if cursor else {"cursor_id": None, "cursor_at": None}
        )
        await self._session.execute(_RECORD, {"concern": concern.value, **position})
