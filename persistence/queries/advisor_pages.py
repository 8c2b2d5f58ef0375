"""Reads for the pages of advisors and admins: what needs attention, appeals with names, skills of students."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text, tuple_

from persistence.queries.appeal_views import AppealFilter, AppealView
from persistence.queries.appeals import appeals_of, matching
from persistence.queries.blind_reviews import SHOWS_WHOSE, reviews_blindly
from persistence.queries.reader import Reader
from persistence.queries.views import AccessScope
from persistence.tables import AppealRow, RoleRow, UserRow
from persistence.tables.base import table_of

MAX_STUDENTS: Final = 500
MAX_RESULTS: Final = 20_000
"""The heat map reads at most this many results, the newest ones."""

MAX_CELLS: Final = 5_000

_appeals: Final = table_of(AppealRow).c

# Counting stops at 1,001 essays of a reason, as in the review queue.
_ATTENTION: Final = text("""
SELECT
  (SELECT coalesce(jsonb_object_agg(reason, jsonb_build_array(essays, oldest)), '{}') FROM (
    SELECT reason, count(*) AS essays, min(item.submitted_at) AS oldest
    FROM (
      SELECT reasons, submitted_at FROM review_items
      WHERE organization_id = :organization_id AND waiting
        AND NOT EXISTS (SELECT FROM users WHERE id = review_items.user_id AND status IN ('erasing', 'erased'))
      LIMIT 10000
    ) AS item, unnest(item.reasons) AS reason
    GROUP BY reason
  ) AS counted) AS waiting,
  (SELECT count(*) FROM appeals WHERE organization_id = :organization_id AND state = 'open') AS appeals,
  (SELECT count(*) FROM appeals WHERE organization_id = :organization_id AND state = 'open' AND overdue_at IS NOT NULL)
    AS overdue,
  (SELECT count(*) FROM (SELECT FROM assessments WHERE organization_id = :organization_id
    AND released_revision IS NOT NULL LIMIT 1001) AS held) AS held,
  (SELECT count(*) FROM (SELECT FROM assessments WHERE organization_id = :organization_id
    AND degraded LIMIT 1001) AS degraded) AS degraded,
  (SELECT count(*) FROM (SELECT FROM assessments WHERE organization_id = :organization_id AND status = 'failed'
    AND failure_reason IS DISTINCT FROM 'expired' LIMIT 1001) AS failed) AS failed
""")

# The newest published result of each student and role counts; of several roles, the best score of a skill.
_LATEST: Final = """
WITH latest AS (
  SELECT DISTINCT ON (a.user_id, a.role_id) a.user_id, a.id, coalesce(a.released_revision, a.revision) AS revision
  FROM (
    SELECT user_id, role_id, id, released_revision, revision, created_at FROM assessments
    WHERE organization_id = :organization_id AND status = 'completed' AND released_revision IS DISTINCT FROM 0
      AND {shows_whose}{members}
    ORDER BY created_at DESC, id DESC LIMIT :results
  ) AS a
  ORDER BY a.user_id, a.role_id, a.created_at DESC
), skills AS (
  SELECT latest.user_id, skill ->> 'skill' AS skill, max((skill ->> 'score')::float) AS score
  FROM latest
  JOIN result_revisions AS shown ON shown.assessment_id = latest.id AND shown.revision = latest.revision
  CROSS JOIN jsonb_array_elements(shown.document -> 'skills') AS skill
  WHERE skill ->> 'score' IS NOT NULL
  GROUP BY latest.user_id, skill ->> 'skill'
)
"""
_COHORT_SKILLS: Final = text(
    _LATEST.format(shows_whose=SHOWS_WHOSE, members="")
    + """
SELECT NULL::uuid AS cohort_id, NULL AS cohort, skill, count(*) AS students, avg(score) AS mean
FROM skills GROUP BY skill
UNION ALL
SELECT cohort.id, cohort.name, skills.skill, count(*), avg(skills.score)
FROM skills
JOIN cohort_members AS member ON member.user_id = skills.user_id
JOIN cohorts AS cohort ON cohort.id = member.cohort_id AND cohort.organization_id = :organization_id
GROUP BY cohort.id, cohort.name, skills.skill
ORDER BY cohort NULLS FIRST, cohort_id, skill
LIMIT :cells
"""
)
_MEMBERS: Final = """
      AND user_id IN (
        SELECT member.user_id FROM cohort_members AS member JOIN cohorts AS cohort ON cohort.id = member.cohort_id
        WHERE cohort.id = :cohort_id AND cohort.organization_id = :organization_id
      )
      AND (CAST(:role_id AS uuid) IS NULL OR role_id = :role_id)"""
_STUDENT_SKILLS: Final = text(
    _LATEST.format(shows_whose=SHOWS_WHOSE, members=_MEMBERS)
    + """
SELECT student.id AS user_id, student.name, student.email, jsonb_object_agg(skills.skill, skills.score) AS skills
FROM skills JOIN users AS student ON student.id = skills.user_id
WHERE student.status NOT IN ('erasing', 'erased')
GROUP BY student.id
ORDER BY lower(coalesce(student.name, student.email::text)), student.id
LIMIT :students
"""
)
_RESULTS_OF: Final = text(
    f"""
SELECT assessments.id AS assessment_id, role.name AS role, completed_at, shown.document -> 'skills' AS skills
FROM assessments
JOIN role_catalog AS role ON role.id = assessments.role_id
JOIN result_revisions AS shown ON shown.assessment_id = assessments.id
  AND shown.revision = coalesce(released_revision, assessments.revision)
WHERE user_id = :user_id AND assessments.organization_id = :organization_id AND assessments.status = 'completed'
  AND {SHOWS_WHOSE}
ORDER BY completed_at DESC LIMIT 50
"""  # noqa: S608  # no part of the statement comes from a request
)
_FEEDBACK_OF: Final = text(
    f"""
SELECT given.submitted_at, given.relevance_score, given.acceptance_status, given.comments,
  given.submitted_by = assessments.user_id AS own, credential.title
FROM recommendation_feedback AS given
JOIN recommendations AS made ON made.id = given.recommendation_id
JOIN assessments ON assessments.id = made.assessment_id
LEFT JOIN credential_catalog AS credential ON credential.id = given.credential_id
WHERE assessments.user_id = :user_id AND assessments.organization_id = :organization_id
  AND {SHOWS_WHOSE}
ORDER BY given.submitted_at DESC LIMIT 50
"""  # noqa: S608  # no part of the statement comes from a request
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionView:
    """What waits for the staff. `waiting` maps reasons to [essays, oldest hand-in]. Counts stop at 1,001."""

    waiting: dict[str, Any]
    appeals: int
    overdue: int
    held: int
    degraded: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAppeal(AppealView):
    student_name: str | None
    student_email: str
    role_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentView:
    user_id: UUID
    name: str | None
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSkill:
    """The mean score of a skill in a cohort, and how many students have a score. `cohort_id` None: all students."""

    cohort_id: UUID | None
    cohort: str | None
    skill: str
    students: int
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentSkills:
    """A student's scores by skill."""

    user_id: UUID
    name: str | None
    email: str
    skills: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillsResult:
    """The skills of one published result, each {skill, score, target, gap}."""

    assessment_id: UUID
    role: str
    completed_at: datetime
    skills: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentFeedback:
    """Feedback on a credential (`title` None: on the whole recommendation). `own`: the student gave it."""

    submitted_at: datetime
    relevance_score: int | None
    acceptance_status: str | None
    comments: str | None
    own: bool
    title: str | None


class AdvisorPageQueries(Reader):
    """Reads about students and cohorts.

    In an organization that reviews blindly, they leave out results with an essay that waits for a review. Otherwise a
    reviewer could compare the figures with an essay, and infer who wrote it.
    """

    async def attention(self, organization_id: UUID) -> AttentionView:
        async with self._connection() as connection:
            row = (await connection.execute(_ATTENTION, {"organization_id": organization_id})).mappings().one()
        return AttentionView(**row)

    async def is_blind(self, organization_id: UUID) -> bool:
        """Whether the organization reviews blindly."""
        async with self._connection() as connection:
            return bool(await connection.scalar(select(reviews_blindly(organization_id))))

    async def student(self, user_id: UUID, organization_id: UUID) -> StudentView | None:
        """Return a student of the organization who is not being erased."""
        statement = select(UserRow.id.label("user_id"), UserRow.name, UserRow.email).where(
            UserRow.id == user_id,
            UserRow.organization_id == organization_id,
            UserRow.role == "student",
            UserRow.status.not_in(("erasing", "erased")),
        )
        return await self._one(StudentView, statement)

    async def appeals(
        self, viewer: AccessScope, found: AppealFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[ListedAppeal]:
        """Return at most `limit` appeals: open ones by the time when the answer is due, others newest first."""
        is_open = found.state == "open"
        key = _appeals.answer_due_at if is_open else _appeals.created_at
        order = (key.asc(), _appeals.id.asc()) if is_open else (key.desc(), _appeals.id.desc())
        statement = (
            appeals_of(viewer)
            .add_columns(
                UserRow.name.label("student_name"),
                UserRow.email.label("student_email"),
                RoleRow.name.label("role_name"),
            )
            .join(UserRow, UserRow.id == _appeals.user_id)
            .join(RoleRow, RoleRow.id == _appeals.role_id)
            .where(*matching(found), UserRow.status.not_in(("erasing", "erased")))
            .order_by(*order)
            .limit(limit)
        )
        if after is not None:
            position = tuple_(key, _appeals.id)
            statement = statement.where(position > after if is_open else position < after)
        return await self._all(ListedAppeal, statement)

    async def cohort_skills(self, organization_id: UUID) -> list[CohortSkill]:
        """Return the mean score of each skill, for all students and for each cohort."""
        async with self._connection() as connection:
            rows = await connection.execute(
                _COHORT_SKILLS, {"organization_id": organization_id, "results": MAX_RESULTS, "cells": MAX_CELLS}
            )
        return [CohortSkill(**row) for row in rows.mappings()]

    async def student_skills(
        self, organization_id: UUID, cohort_id: UUID, role_id: UUID | None = None
    ) -> list[StudentSkills]:
        """Return the scores of at most 500 students of a cohort, by name. `role_id`: only from results of that role."""
        parameters = {
            "role_id": role_id,
            "organization_id": organization_id,
            "cohort_id": cohort_id,
            "results": MAX_RESULTS,
            "students": MAX_STUDENTS,
        }
        async with self._connection() as connection:
            rows = await connection.execute(_STUDENT_SKILLS, parameters)
        return [StudentSkills(**row) for row in rows.mappings()]

    async def results_of(self, user_id: UUID, organization_id: UUID) -> list[SkillsResult]:
        """Return the student's newest published results."""
        async with self._connection() as connection:
            rows = await connection.execute(_RESULTS_OF, {"user_id": user_id, "organization_id": organization_id})
        return [SkillsResult(**row) for row in rows.mappings()]

    async def feedback_of(self, user_id: UUID, organization_id: UUID) -> list[StudentFeedback]:
        """Return the newest feedback on the student's recommendations."""
        async with self._connection() as connection:
            rows = await connection.execute(_FEEDBACK_OF, {"user_id": user_id, "organization_id": organization_id})
        return [StudentFeedback(**row) for row in rows.mappings()]
