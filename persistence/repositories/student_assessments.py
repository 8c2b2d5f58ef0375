"""Statements of a student's requests: start an assessment, store and clear answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic_core import to_json
from sqlalchemy import ARRAY, Text, Uuid, bindparam, delete, func, select, text, true
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.accommodations import TimeAccommodation
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.questions import Answer, Item
from domain.errors import Erased
from persistence.queries.attempts import POLICY_COLUMNS, AttemptView, attempts_by
from persistence.queries.views import Actor
from persistence.repositories import audit, mappers
from persistence.repositories.assessments import ERASED, lock_with_items
from persistence.repositories.base import Repository
from persistence.repositories.documents import encode_answer
from persistence.repositories.items import ASKED, asked_items
from persistence.tables import AssessmentRow, FlaggedQuestionRow, RoleRow, UserRow
from persistence.tables.base import table_of

_flags: Final = table_of(FlaggedQuestionRow)

# The advisory lock serialises the starts of one role by one student until the commit. The user's row is locked in share
# mode, because a request that submits answers locks the assessment first and the user second.
_USER: Final = (
    select(
        UserRow.status,
        UserRow.time_factor,
        UserRow.extra_minutes,
        func.pg_advisory_xact_lock(func.hashtextextended(bindparam("lock", type_=Text), 0)),
    )
    .where(UserRow.id == bindparam("user"))
    .with_for_update(read=True)
)

_COMPLETED: Final = (
    select(AssessmentRow.role_id)
    .where(
        AssessmentRow.user_id == bindparam("user"),
        AssessmentRow.status == AssessmentStatus.COMPLETED.value,
        AssessmentRow.role_id == func.any(RoleRow.prerequisites),
    )
    .correlate(RoleRow)
    .scalar_subquery()
)
_ATTEMPTS: Final = attempts_by(bindparam("user"), RoleRow.id)
_ROLE: Final = (
    select(
        RoleRow.prerequisites,
        func.array(_COMPLETED, type_=ARRAY(Uuid)).label("completed"),
        AssessmentRow.id.label("open_id"),
        *POLICY_COLUMNS,
        *_ATTEMPTS.c,
        func.clock_timestamp().label("now"),
    )
    .select_from(RoleRow)
    .join(_ATTEMPTS, true())
    .outerjoin(
        AssessmentRow,
        (AssessmentRow.role_id == RoleRow.id)
        & (AssessmentRow.user_id == bindparam("user"))
        & (AssessmentRow.status == AssessmentStatus.IN_PROGRESS.value),
    )
    .where(RoleRow.id == bindparam("role"), RoleRow.active)
)

_COPIED: Final = "prompt, rubric, question_type, kind, choices, answer_format, weight, version, position"

_OPEN: Final = text(f"""
WITH opened AS (
  INSERT INTO assessments (id, user_id, organization_id, role_id, status, started_at, expires_at, metadata)
  SELECT :id, :user, :organization, :role, :status, clock, clock + :duration, CAST(:metadata AS jsonb)
  FROM clock_timestamp() AS clock
  RETURNING {", ".join(mappers.ASSESSMENT)}
), copied AS (
  INSERT INTO assessment_question_snapshots (id, assessment_id, question_id, {_COPIED})
  SELECT gen_random_uuid(), :id, id, {_COPIED} FROM questions WHERE role_id = :role AND active
  RETURNING id, question_id, version, scored_version, position
), noted AS (
  INSERT INTO audit_logs (
    id, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
  SELECT gen_random_uuid(), :organization, :user, :actor_role, 'assessment.started', 'assessment', :id,
    :correlation_id, jsonb_build_object('role_id', CAST(:role AS text))
)
SELECT * FROM opened, (SELECT {", ".join(f"{sql} AS {name}" for name, sql in ASKED.items())} FROM copied) AS asked
""")  # noqa: S608  # column names of this code

# Storing or clearing an answer also changes the assessment's `updated_at`.
_STORE: Final = text("""
WITH touched AS (UPDATE assessments SET updated_at = :now WHERE id = :assessment),
cleared AS (
  DELETE FROM assessment_responses
  WHERE assessment_id = :assessment AND question_snapshot_id = ANY(CAST(:cleared AS uuid[]))
)
INSERT INTO assessment_responses (id, assessment_id, question_snapshot_id, answer, submitted_at)
SELECT gen_random_uuid(), :assessment, question_snapshot_id, answer, submitted_at
FROM json_populate_recordset(NULL::assessment_responses, CAST(:rows AS json))
ON CONFLICT (assessment_id, question_snapshot_id)
  DO UPDATE SET answer = excluded.answer, submitted_at = excluded.submitted_at
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartableRole(AttemptView):
    """An active role as one student sees it.

    `prerequisites` are roles to complete first, `completed` the prerequisites that the student has completed, and
    `open_id` the student's assessment of this role in progress. `now` is the database's clock.
    """

    prerequisites: Sequence[UUID]
    completed: Sequence[UUID]
    open_id: UUID | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAssessment:
    """`duration` is the time until the assessment expires."""

    organization_id: UUID
    role_id: UUID
    metadata: Mapping[str, Any]
    duration: timedelta


class StudentAssessments(Repository):
    async def lock_start(self, user_id: UUID, role_id: UUID) -> TimeAccommodation:
        """Lock the user's row in share mode, and starts of the role by this user, until the transaction ends.

        Return the user's time accommodation. It cannot change before the transaction ends.

        Raises:
            Erased: the user does not exist or is being erased.
        """
        rows = await self._session.execute(_USER, {"user": user_id, "lock": f"{user_id}/{role_id}"})
        row = rows.one_or_none()
        if row is None or row.status in ERASED:
            raise Erased("The account is being erased")
        return TimeAccommodation(time_factor=row.time_factor, extra_minutes=row.extra_minutes)

    async def role(self, user_id: UUID, role_id: UUID) -> StartableRole | None:
        """Read an active role; None if there is no such role."""
        rows = await self._session.execute(_ROLE, {"user": user_id, "role": role_id})
        row = rows.mappings().one_or_none()
        return None if row is None else StartableRole(**row)

    async def open(self, new: NewAssessment, student: Actor) -> tuple[Assessment, tuple[Item, ...]]:
        """Insert an assessment with snapshots of the role's active questions, and its audit row."""
        parameters = {
            "id": uuid4(),
            "user": student.id,
            "organization": new.organization_id,
            "role": new.role_id,
            "status": AssessmentStatus.IN_PROGRESS.value,
            "duration": new.duration,
            "metadata": to_json(new.metadata).decode() if new.metadata else None,
            "actor_role": student.role,
            "correlation_id": audit.correlation_id(),
        }
        row = (await self._session.execute(_OPEN, parameters)).mappings().one()
        return mappers.assessment(row), await asked_items(self._session, row)

    async def lock_with_items(self, assessment_id: UUID) -> tuple[Assessment, datetime, tuple[Item, ...]]:
        """Lock an assessment; return it with the database's clock and its questions, without answers.

        Raises:
            NotFound: the assessment does not exist.
            Erased: its user is being erased.
        """
        return await lock_with_items(self._session, assessment_id)

    async def store_answers(
        self, assessment_id: UUID, answers: Sequence[tuple[UUID, Answer | None, datetime]], now: datetime
    ) -> None:
        """Store answers as (snapshot id, answer, time of submission). None clears the stored answer."""
        rows = [
            {"question_snapshot_id": snapshot_id, "answer": encode_answer(answer), "submitted_at": submitted_at}
            for snapshot_id, answer, submitted_at in answers
            if answer is not None
        ]
        parameters = {
            "assessment": assessment_id,
            "now": now,
            "rows": to_json(rows).decode(),
            "cleared": [snapshot_id for snapshot_id, answer, _ in answers if answer is None],
        }
        await self._session.execute(_STORE, parameters)

    async def flag(self, snapshot_id: UUID, *, flagged: bool) -> None:
        """Flag a question for later, or remove the flag. Repeating it has no effect."""
        if flagged:
            made = upsert(_flags).values(question_snapshot_id=snapshot_id)
            await self._session.execute(made.on_conflict_do_nothing())
        else:
            await self._session.execute(delete(_flags).where(_flags.c.question_snapshot_id == snapshot_id))
