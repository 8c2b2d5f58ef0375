"""An assessment's items. A question's version is a content hash, so each is fetched and decoded once a process.

Rubrics with their anchors are tens of kilobytes an assessment, and every step reads its items.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.questions import Item, Question
from persistence import mappers
from persistence.tables import QuestionSnapshotRow, ResponseRow
from persistence.tables.base import table_of

MAX_KNOWN: Final = 2_000
"""Decoded questions kept; a few megabytes."""

_snapshots: Final = table_of(QuestionSnapshotRow).c
_responses: Final = table_of(ResponseRow).c

_ANSWERS: Final = (
    select(_snapshots.id, _snapshots.question_id, _snapshots.version, _snapshots.kind, _responses.answer)
    .join_from(
        table_of(QuestionSnapshotRow),
        table_of(ResponseRow),
        _responses.question_snapshot_id == _snapshots.id,
        isouter=True,
    )
    .where(_snapshots.assessment_id == bindparam("assessment_id"))
    .order_by(_snapshots.position)
)
_QUESTIONS: Final = select(
    _snapshots.question_id,
    _snapshots.prompt,
    _snapshots.answer_format,
    _snapshots.rubric,
    _snapshots.weight,
    _snapshots.version,
).where(_snapshots.id == func.any(bindparam("ids")))

_known: Final[dict[tuple[UUID, str], Question]] = {}


async def read_items(session: AsyncSession, assessment_id: UUID) -> tuple[Item, ...]:
    """Every question of the assessment in its order, with its answer if it has one."""
    rows = (await session.execute(_ANSWERS, {"assessment_id": assessment_id})).all()
    known = {key: _known[key] for row in rows if (key := (row.question_id, row.version)) in _known}
    if unknown := [row.id for row in rows if (row.question_id, row.version) not in known]:
        known |= await _learn(session, unknown)
    return tuple(
        Item(snapshot_id=row.id, question=known[row.question_id, row.version], answer=mappers.answer(row))
        for row in rows
    )


async def _learn(session: AsyncSession, snapshots: Sequence[UUID]) -> dict[tuple[UUID, str], Question]:
    """The questions of the snapshots, kept for the next assessment that asks them."""
    rows = await session.execute(_QUESTIONS, {"ids": snapshots})
    learned = {(row.question_id, row.version): mappers.question(row) for row in rows}
    if len(_known) + len(learned) > MAX_KNOWN:
        _known.clear()
    _known.update(learned)
    return learned
