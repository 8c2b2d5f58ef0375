"""Read an assessment's items. Questions are cached in the process by version, which is a content hash.

Rubrics with their anchors take tens of kilobytes per assessment, and every step reads its items. An item has the
question by which it is scored: the version that was asked, or the later version of an applied re-score.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import Numeric, RowMapping, bindparam, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.questions import Item, Question
from persistence.repositories import mappers
from persistence.tables import ContentVersionRow, QuestionSnapshotRow, ResponseRow
from persistence.tables.base import table_of

MAX_KNOWN: Final = 2_000
"""Size of the question cache; a few megabytes."""

_snapshots: Final = table_of(QuestionSnapshotRow).c
_responses: Final = table_of(ResponseRow).c

_contents: Final = table_of(ContentVersionRow).c
_VERSION: Final = func.coalesce(_snapshots.scored_version, _snapshots.version).label("version")

_ANSWERS: Final = (
    select(_snapshots.id, _snapshots.question_id, _VERSION, _snapshots.kind, _responses.answer)
    .join_from(
        table_of(QuestionSnapshotRow),
        table_of(ResponseRow),
        # The assessment is a condition of both tables, which lets a single index scan find all its answers.
        (_responses.question_snapshot_id == _snapshots.id) & (_responses.assessment_id == bindparam("assessment_id")),
        isouter=True,
    )
    .where(_snapshots.assessment_id == bindparam("assessment_id"))
    .order_by(_snapshots.position)
)
_ANSWERS_OF_MANY: Final = (
    select(
        _snapshots.assessment_id,
        _snapshots.id,
        _snapshots.question_id,
        _VERSION,
        _snapshots.kind,
        _responses.answer,
    )
    .join_from(
        table_of(QuestionSnapshotRow),
        table_of(ResponseRow),
        (_responses.question_snapshot_id == _snapshots.id) & (_responses.assessment_id == _snapshots.assessment_id),
        isouter=True,
    )
    .where(_snapshots.assessment_id == func.any(bindparam("assessment_ids")))
    .order_by(_snapshots.assessment_id, _snapshots.position)
)
# An applied re-score changes the version by which an item is scored, and every version is stored as content.
_QUESTIONS: Final = (
    select(
        _snapshots.question_id,
        func.coalesce(_contents.document["prompt"].astext, _snapshots.prompt).label("prompt"),
        func.coalesce(_contents.document["answer_format"], _snapshots.answer_format).label("answer_format"),
        func.coalesce(_contents.document["rubric"], _snapshots.rubric).label("rubric"),
        func.coalesce(cast(_contents.document["weight"].astext, Numeric), _snapshots.weight).label("weight"),
        _VERSION,
    )
    .join_from(
        table_of(QuestionSnapshotRow),
        table_of(ContentVersionRow),
        (_contents.entity_type == "question")
        & (_contents.entity_id == _snapshots.question_id)
        & (_contents.version == _snapshots.scored_version),
        isouter=True,
    )
    .where(_snapshots.id == func.any(bindparam("ids")))
)

ASKED: Final = {
    "snapshot_ids": "array_agg(id ORDER BY position)",
    "question_ids": "array_agg(question_id ORDER BY position)",
    "versions": "array_agg(coalesce(scored_version, version) ORDER BY position)",
}
"""Columns that aggregate all snapshots of an assessment into one row. Snapshots never change."""

QuestionVersion: TypeAlias = tuple[UUID, str]
"""A question's id and version."""

_known: Final[dict[QuestionVersion, Question]] = {}


async def read_items(session: AsyncSession, assessment_id: UUID) -> tuple[Item, ...]:
    """Return every question of the assessment in order, with its answer if it has one."""
    rows = (await session.execute(_ANSWERS, {"assessment_id": assessment_id})).all()
    known = await _questions(session, {row.id: (row.question_id, row.version) for row in rows})
    return tuple(
        Item(snapshot_id=row.id, question=known[row.question_id, row.version], answer=mappers.answer(row))
        for row in rows
    )


async def read_items_of(session: AsyncSession, assessment_ids: Sequence[UUID]) -> dict[UUID, tuple[Item, ...]]:
    """Return the items of many assessments, as `read_items` does."""
    rows = (await session.execute(_ANSWERS_OF_MANY, {"assessment_ids": list(assessment_ids)})).all()
    known = await _questions(session, {row.id: (row.question_id, row.version) for row in rows})
    found = defaultdict[UUID, list[Item]](list)
    for row in rows:
        question = known[row.question_id, row.version]
        found[row.assessment_id].append(Item(snapshot_id=row.id, question=question, answer=mappers.answer(row)))
    return {assessment_id: tuple(items) for assessment_id, items in found.items()}


async def asked_items(session: AsyncSession, row: RowMapping) -> tuple[Item, ...]:
    """Return the items of a row with the columns `ASKED`, without answers."""
    wordings = zip(row["question_ids"] or (), row["versions"] or (), strict=True)
    asked = dict(zip(row["snapshot_ids"] or (), wordings, strict=True))
    known = await _questions(session, asked)
    return tuple(Item(snapshot_id=snapshot, question=known[wording]) for snapshot, wording in asked.items())


async def _questions(session: AsyncSession, asked: Mapping[UUID, QuestionVersion]) -> dict[QuestionVersion, Question]:
    """Return the questions by id and version. Load unknown ones by snapshot and cache them."""
    known = {wording: _known[wording] for wording in asked.values() if wording in _known}
    # One snapshot per wording: many assessments ask the same questions.
    if unknown := {wording: snapshot for snapshot, wording in asked.items() if wording not in known}:
        rows = await session.execute(_QUESTIONS, {"ids": list(unknown.values())})
        learned = {(row.question_id, row.version): mappers.question(row) for row in rows}
        if len(_known) + len(learned) > MAX_KNOWN:
            _known.clear()
        _known.update(learned)
        known |= learned
    return known
