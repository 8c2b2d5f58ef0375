"""The repository of assessments. A transition is one conditional statement that also writes the audit row."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from pydantic_core import to_json
from sqlalchemy import RowMapping, Select, TextClause, bindparam, func, literal_column, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment, AssessmentStatus, Healing
from domain.assessments.questions import Item
from domain.errors import Conflict, Erased, NotFound
from domain.ids import derived_id
from domain.sweeps import Cursor
from persistence.repositories import mappers
from persistence.repositories.audit import correlation_id
from persistence.repositories.base import Repository
from persistence.repositories.items import ASKED, asked_items, read_items
from persistence.tables import AssessmentRow, QuestionSnapshotRow, UserRow
from persistence.tables.base import table_of

ERASED: Final = frozenset({"erasing", "erased"})
_FIRST: Final = UUID(int=0)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEALED: Final = "assessment.healing_"

_assessments: Final = table_of(AssessmentRow)
_snapshots: Final = table_of(QuestionSnapshotRow)
_users: Final = table_of(UserRow)

_ASSESSMENT: Final = select(*mappers.ASSESSMENT_COLUMNS).where(_assessments.c.id == bindparam("assessment_id"))

# The user's row is locked too: an erasure is either visible here or waits for this transaction. The clock is read
# outside the locking subquery, so it is read after the wait for the lock.
_LOCKED: Final = (
    _ASSESSMENT.add_columns(_users.c.status.label("person"))
    .join(_users, _users.c.id == _assessments.c.user_id)
    .with_for_update(of=_assessments)
    .suffix_with("FOR SHARE OF users")
    .subquery()
)
_LOCK: Final = select(_LOCKED, func.clock_timestamp().label("now"))
_ASKED: Final = (
    select(*(literal_column(sql).label(name) for name, sql in ASKED.items()))
    .where(_snapshots.c.assessment_id == bindparam("assessment_id"))
    .subquery()
)
_LOCK_WITH_ITEMS: Final = _LOCK.add_columns(_ASKED).join_from(_LOCKED, _ASKED, true())

_TRANSITION: Final = text("""
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now), moved AS (
  UPDATE assessments SET
    status = :status, run = :run, revision = :revision, degraded = :degraded, healing = :healing,
    claimed_at = :claimed_at, completed_at = :completed_at, failure_reason = :failure_reason,
    needs_review = coalesce(CAST(:needs_review AS boolean), needs_review),
    released_revision = CAST(:released_revision AS integer),
    released_at = CASE WHEN :shows THEN clock.now ELSE released_at END,
    submitted_at = CASE WHEN :submits THEN clock.now ELSE submitted_at END,
    updated_at = clock.now
  FROM clock
  WHERE id = :id AND status = :from_status AND run = :from_run AND revision = :from_revision
    AND healing = :from_healing AND claimed_at IS NOT DISTINCT FROM :from_claimed_at
    AND released_revision IS NOT DISTINCT FROM CAST(:from_released_revision AS integer)
  RETURNING id, organization_id, submitted_at, updated_at
), noted AS (
  INSERT INTO audit_logs (
    id, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
  SELECT :audit_id, organization_id, CAST(:actor AS uuid),
    coalesce((SELECT role FROM users WHERE users.id = CAST(:actor AS uuid)), 'system'),
    :action, 'assessment', id, :correlation_id, CAST(:details AS jsonb)
  FROM moved
  ON CONFLICT (id) DO NOTHING
)
SELECT submitted_at, updated_at AS at FROM moved
""")

# Statuses are literals, so that the planner can use the partial indexes.
_PAGE: Final = f"""
SELECT {", ".join(mappers.ASSESSMENT)} FROM assessments
WHERE {{condition}} AND id > :after
  AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id AND users.status IN ('erasing', 'erased'))
ORDER BY id LIMIT :limit
"""  # noqa: S608  # column names of this code
_UNCLAIMED: Final = text(
    _PAGE.format(
        condition="status = 'awaiting_async' AND claimed_at IS NULL"
        " AND submitted_at <= now() - make_interval(secs => :older_than_s)"
    )
)
_CLAIMED: Final = text(
    _PAGE.format(condition="status = 'awaiting_async' AND claimed_at <= now() - make_interval(secs => :older_than_s)")
)
# In the order of the deadlines, because an index on the deadlines finds these rows among many open assessments.
_DUE: Final = text(f"""
SELECT {", ".join(mappers.ASSESSMENT)} FROM assessments
WHERE status = 'in_progress' AND expires_at <= now() AND (expires_at, id) > (:at, :after)
  AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id AND users.status IN ('erasing', 'erased'))
ORDER BY expires_at, id LIMIT :limit
""")  # noqa: S608  # column names of this code
_HEALING: Final = text(_PAGE.format(condition="healing = 'due'"))


class TransitionTimes(NamedTuple):
    """The time of the submission, if there was one, and of this transition."""

    submitted_at: datetime | None
    at: datetime


class SqlAssessments(Repository):
    async def lock(self, assessment_id: UUID) -> tuple[Assessment, datetime]:
        row = await _lock(self._session, _LOCK, assessment_id)
        return mappers.assessment(row), row["now"]

    async def save(self, before: Assessment, after: Assessment, *, actor: UUID | None = None) -> None:
        await transition(self._session, before, after, actor=actor)

    async def get(self, assessment_id: UUID) -> Assessment:
        row = (await self._session.execute(_ASSESSMENT, {"assessment_id": assessment_id})).mappings().one_or_none()
        if row is None:
            raise NotFound(f"Assessment {assessment_id} does not exist")
        return mappers.assessment(row)

    async def items(self, assessment_id: UUID) -> tuple[Item, ...]:
        return await read_items(self._session, assessment_id)

    async def unclaimed(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        return await self._page(_UNCLAIMED, after, limit, older_than_s=older_than_s)

    async def claimed(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        return await self._page(_CLAIMED, after, limit, older_than_s=older_than_s)

    async def due(self, *, after: Cursor | None, limit: int) -> tuple[Assessment, ...]:
        at = after.at if after and after.at else _EARLIEST
        return await self._page(_DUE, after.id if after else None, limit, at=at)

    async def healing(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        return await self._page(_HEALING, after, limit)

    async def _page(
        self, statement: TextClause, after: UUID | None, limit: int, **condition: float | datetime
    ) -> tuple[Assessment, ...]:
        rows = await self._session.execute(statement, {"after": after or _FIRST, "limit": limit, **condition})
        return tuple(mappers.assessment(row) for row in rows.mappings())


async def lock_with_items(session: AsyncSession, assessment_id: UUID) -> tuple[Assessment, datetime, tuple[Item, ...]]:
    """Lock as `Assessments.lock` does, and return the items without answers (those may be older than the lock)."""
    row = await _lock(session, _LOCK_WITH_ITEMS, assessment_id)
    return mappers.assessment(row), row["now"], await asked_items(session, row)


async def _lock(session: AsyncSession, statement: Select[Any], assessment_id: UUID) -> RowMapping:
    rows = await session.execute(statement, {"assessment_id": assessment_id})
    row: RowMapping | None = rows.mappings().one_or_none()
    if row is None:
        raise NotFound(f"Assessment {assessment_id} does not exist")
    if row["person"] in ERASED:
        raise Erased(f"Assessment {assessment_id} belongs to an erased user")
    return row


async def transition(
    session: AsyncSession,
    before: Assessment,
    after: Assessment,
    *,
    actor: UUID | None = None,
    needs_review: bool | None = None,
) -> TransitionTimes:
    """Write a transition and its audit row.

    Raises:
        Conflict: the row no longer equals `before`.
    """
    action = action_of(before, after)
    details = {"run": after.run, "revision": after.revision, "reason": after.failure_reason}
    if after.held:
        details["released_revision"] = after.released_revision
    row = (
        await session.execute(
            _TRANSITION,
            _columns(before, after)
            | {
                "needs_review": needs_review,
                "audit_id": _audit_id(after, action),
                "actor": actor,
                "action": action,
                "correlation_id": correlation_id(),
                "details": to_json(details).decode(),
            },
        )
    ).one_or_none()
    if row is None:
        raise Conflict(f"Assessment {before.id} was changed by another transaction")
    return TransitionTimes(submitted_at=row.submitted_at, at=row.at)


def _columns(before: Assessment, after: Assessment) -> dict[str, Any]:
    awaiting = AssessmentStatus.AWAITING_ASYNC
    return {
        "id": before.id,
        "status": after.status.value,
        "run": after.run,
        "revision": after.revision,
        "degraded": after.degraded,
        "healing": after.healing.value,
        "claimed_at": after.claimed_at,
        "completed_at": after.completed_at,
        "failure_reason": after.failure_reason,
        "submits": after.status is awaiting and before.status is not awaiting,
        "released_revision": after.released_revision,
        "shows": after.shown_revision != before.shown_revision,
        "from_status": before.status.value,
        "from_run": before.run,
        "from_revision": before.revision,
        "from_healing": before.healing.value,
        "from_claimed_at": before.claimed_at,
        "from_released_revision": before.released_revision,
    }


def action_of(before: Assessment, after: Assessment) -> str:
    """Return the audit trail's name for a transition."""
    match before.status, after.status:
        case AssessmentStatus.FAILED, AssessmentStatus.AWAITING_ASYNC:
            return "assessment.rerun"
        case AssessmentStatus.IN_PROGRESS, AssessmentStatus.AWAITING_ASYNC:
            return "assessment.submitted"
        case AssessmentStatus.AWAITING_ASYNC, AssessmentStatus.AWAITING_ASYNC:
            return "assessment.claimed"
        case AssessmentStatus.COMPLETED, AssessmentStatus.COMPLETED:
            return _action_of_completed(before, after)
        case _:
            return f"assessment.{after.status}"


def _action_of_completed(before: Assessment, after: Assessment) -> str:
    if after.revision > before.revision:
        return "assessment.updated"
    if before.held and not after.held:
        return "assessment.released"
    return f"{_HEALED}{Healing(after.healing)}"


def _audit_id(after: Assessment, action: str) -> UUID:
    """Return a random id for healing actions, which may repeat within a revision, and a derived id for the others."""
    return uuid4() if action.startswith(_HEALED) else revision_id(after, f"audit:{action}")


def revision_id(assessment: Assessment, kind: str, part: object = None) -> UUID:
    """Derive the id of a row that belongs to one revision of one run, so that a retry writes the same row."""
    return derived_id(kind, assessment.id, assessment.run, assessment.revision, part)
