"""What students write: starting an assessment and answering it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic_core import to_json
from sqlalchemy import ARRAY, Text, Uuid, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.answers import check_answer
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.ports import Assessments, Jobs, Results
from domain.assessments.questions import Answer, Item
from domain.assessments.steps import submission_jobs
from domain.errors import Erased, InvalidAssessmentState, InvalidInput, Problem
from persistence.queries.views import AccessScope, Actor
from persistence.repositories import audit, mappers
from persistence.repositories.assessments import ERASED, lock_with_items
from persistence.repositories.documents import encode_answer
from persistence.repositories.feedback import locked
from persistence.repositories.items import ASKED, asked_items
from persistence.tables import AssessmentRow, RoleRow, UserRow

_REFUSED: Final = "The request is not valid"
_NOTHING_ANSWERED: Final = "No question is answered yet: answer at least one before you hand the assessment in"

# Until the commit, one student's starts of a role follow each other, and an erasure waits or is seen. The person's row
# is locked in share mode, because whoever answers locks an assessment first and its person second.
_PERSON: Final = (
    select(UserRow.status, func.pg_advisory_xact_lock(func.hashtextextended(bindparam("turn", type_=Text), 0)))
    .where(UserRow.id == bindparam("user"))
    .with_for_update(read=True)
)

_PASSED: Final = (
    select(AssessmentRow.role_id)
    .where(
        AssessmentRow.user_id == bindparam("user"),
        AssessmentRow.status == AssessmentStatus.COMPLETED.value,
        AssessmentRow.role_id == func.any(RoleRow.prerequisites),
    )
    .correlate(RoleRow)
    .scalar_subquery()
)
_ROLE: Final = (
    select(
        RoleRow.prerequisites,
        func.array(_PASSED, type_=ARRAY(Uuid)).label("passed"),
        AssessmentRow.id.label("open_id"),
    )
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
  RETURNING id, question_id, version, position
), noted AS (
  INSERT INTO audit_logs (
    id, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
  SELECT gen_random_uuid(), :organization, :user, :actor_role, 'assessment.started', 'assessment', :id,
    :correlation_id, jsonb_build_object('role_id', CAST(:role AS text))
)
SELECT * FROM opened, (SELECT {", ".join(f"{sql} AS {name}" for name, sql in ASKED.items())} FROM copied) AS asked
""")  # noqa: S608  # column names of this code

# The assessment's `updated_at` shows that answers were stored or cleared.
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
class Started:
    """`closed` is an earlier attempt at the role that had run out and was closed on the way."""

    assessment: Assessment
    items: tuple[Item, ...]
    closed: Assessment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedAnswer:
    """An answer as it was sent: `raw` is a JSON value (None clears), `claimed_at` the client's clock."""

    question_id: UUID
    raw: object
    claimed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionReceipt:
    """The assessment after the answers; `expired` when it ran out before, so that none of them was stored."""

    assessment: Assessment
    expired: bool = False


class Intake:
    """Writes of one transaction; the caller commits, and tells the engine afterwards."""

    def __init__(self, session: AsyncSession, assessments: Assessments, jobs: Jobs, results: Results) -> None:
        self._session = session
        self._assessments = assessments
        self._jobs = jobs
        self._results = results

    async def start(
        self,
        learner: Actor,
        *,
        organization_id: UUID,
        role_id: UUID,
        metadata: Mapping[str, Any],
        duration: timedelta,
    ) -> Started:
        """Opens an assessment of the role with snapshots of its active questions.

        Raises:
            InvalidInput: no such active role, or assessments of other roles must be completed first.
            InvalidAssessmentState: one of the role is open already; `details.assessment_id` names it.
            Erased: the learner is being erased.
        """
        if await self._session.scalar(_PERSON, {"user": learner.id, "turn": f"{learner.id}/{role_id}"}) in {
            *ERASED,
            None,
        }:
            raise Erased("The account is being erased")
        closed = await self._close_expired_attempt(learner.id, role_id)
        parameters = {
            "id": uuid4(),
            "user": learner.id,
            "organization": organization_id,
            "role": role_id,
            "status": AssessmentStatus.IN_PROGRESS.value,
            "duration": duration,
            "metadata": to_json(metadata).decode() if metadata else None,
            "actor_role": learner.role,
            "correlation_id": audit.correlation_id(),
        }
        row = (await self._session.execute(_OPEN, parameters)).mappings().one()
        items = await asked_items(self._session, row)
        if not items:
            raise InvalidInput(_REFUSED, (Problem("role_id", "names a role without questions"),))
        return Started(assessment=mappers.assessment(row), items=items, closed=closed)

    async def answer(
        self,
        assessment_id: UUID,
        viewer: AccessScope,
        learner: Actor,
        given: Sequence[SubmittedAnswer],
        *,
        completed: bool,
    ) -> SubmissionReceipt:
        """Stores and clears all answers or none, and hands the assessment in when `completed`.

        An assessment that has run out is closed instead; the caller commits that too.

        Raises:
            NotFound: there is no such assessment, or it is not the viewer's.
            InvalidAssessmentState: it is not in progress, or is handed in without an answer.
            InvalidInput: some answers are not what their questions ask for; all problems are named.
        """
        before, now, items = await locked(lock_with_items(self._session, assessment_id), viewer)
        if before.status is AssessmentStatus.IN_PROGRESS and before.is_due(now):
            return SubmissionReceipt(assessment=await self._expire(before), expired=True)
        before.check_open(now)
        await self._store(assessment_id, check_answers(items, given), given, now)
        if not completed:
            return SubmissionReceipt(assessment=before)
        items = await self._assessments.items(assessment_id)
        if not _is_answered(items):
            raise InvalidAssessmentState(_NOTHING_ANSWERED)
        return SubmissionReceipt(assessment=await self._submit(before, before.submit(), items, actor=learner.id))

    async def _close_expired_attempt(self, user_id: UUID, role_id: UUID) -> Assessment | None:
        """Checks that the role may be started now; an attempt that has run out is closed and returned."""
        role = (await self._session.execute(_ROLE, {"user": user_id, "role": role_id})).one_or_none()
        if role is None:
            raise InvalidInput(_REFUSED, (Problem("role_id", "does not name an active role"),))
        if missing := sorted(set(role.prerequisites) - set(role.passed), key=str):
            names = ", ".join(str(prerequisite) for prerequisite in missing)
            raise InvalidInput(_REFUSED, (Problem("role_id", f"requires completed assessments of the roles {names}"),))
        if role.open_id is None:
            return None
        before, now = await self._assessments.lock(role.open_id)
        if before.status is not AssessmentStatus.IN_PROGRESS:  # handed in since it was found
            return None
        if not before.is_due(now):
            raise InvalidAssessmentState(
                "An assessment of this role is open already", details={"assessment_id": str(before.id)}
            )
        return await self._expire(before)

    async def _expire(self, before: Assessment) -> Assessment:
        items = await self._assessments.items(before.id)
        after = before.expire(answered=_is_answered(items))
        if after.status is AssessmentStatus.AWAITING_ASYNC:
            return await self._submit(before, after, items)
        await self._results.fail(before, after)
        return after

    async def _submit(
        self, before: Assessment, after: Assessment, items: Sequence[Item], *, actor: UUID | None = None
    ) -> Assessment:
        await self._assessments.save(before, after, actor=actor)
        await self._jobs.enqueue(submission_jobs(after, items))
        return after

    async def _store(
        self,
        assessment_id: UUID,
        answers: Mapping[UUID, Answer | None],
        given: Sequence[SubmittedAnswer],
        now: datetime,
    ) -> None:
        rows = [
            {
                "question_snapshot_id": snapshot_id,
                "answer": encode_answer(answer),
                "submitted_at": sent.claimed_at or now,
            }
            for (snapshot_id, answer), sent in zip(answers.items(), given, strict=True)
            if answer is not None
        ]
        parameters = {
            "assessment": assessment_id,
            "now": now,
            "rows": to_json(rows).decode(),
            "cleared": [snapshot_id for snapshot_id, answer in answers.items() if answer is None],
        }
        await self._session.execute(_STORE, parameters)


def check_answers(items: Sequence[Item], given: Sequence[SubmittedAnswer]) -> dict[UUID, Answer | None]:
    """The answers by snapshot, in the order given; None where an answer is cleared.

    Raises:
        InvalidInput: naming every answer that is of no question of these, given twice or not what is asked for.
    """
    asked = {item.question.id: item for item in items}
    answers: dict[UUID, Answer | None] = {}
    problems: list[Problem] = []

    def refuse(place: int, field: str, problem: str) -> None:
        named = str(given[place].question_id)
        problems.append(Problem(f"responses.{place}.{field}", problem, question_id=named))

    for place, sent in enumerate(given):
        item = asked.get(sent.question_id)
        if item is None:
            refuse(place, "question_id", "is not a question of this assessment")
        elif item.snapshot_id in answers:
            refuse(place, "question_id", "is answered twice")
        else:
            try:
                answers[item.snapshot_id] = check_answer(item.question.answer_format, sent.raw)
            except InvalidInput as error:
                for each in error.problems:
                    refuse(place, each.field, each.problem)
    if problems:
        raise InvalidInput(_REFUSED, tuple(problems))
    return answers


def _is_answered(items: Sequence[Item]) -> bool:
    """Whether at least one of the questions has an answer."""
    return any(item.answer is not None for item in items)
