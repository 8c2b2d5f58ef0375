"""Reads for the pages of re-scores: what can be re-scored, differences with names, numbers by outcome."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import case, func, select, true

from persistence.queries.blind_reviews import is_anonymous
from persistence.queries.reader import Reader
from persistence.queries.rescores import DIFFERENCE_COLUMNS, DifferenceView
from persistence.tables import AssessmentRow, QuestionRow, RescoreDifferenceRow, RoleRow, UserRow

_row: Final = RescoreDifferenceRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RescorableQuestion:
    """An active question of an active role."""

    question_id: UUID
    key: str
    role_id: UUID
    role_name: str
    position: int
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDifference(DifferenceView):
    """`anonymous`: the organization reviews blindly, so that the name and the address are None."""

    anonymous: bool
    student_name: str | None
    student_email: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCount:
    outcome: str
    assessments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    question_id: UUID
    position: int
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChanges:
    """Numbers of changed results that are not applied: with more points, with fewer, and by targets of skills."""

    assessments: int
    up: int
    down: int
    reached: int
    missed: int


class RescorePageQueries(Reader):
    async def questions(self) -> list[RescorableQuestion]:
        """Return the questions of all active roles, by role and position."""
        statement = (
            select(
                QuestionRow.id.label("question_id"),
                QuestionRow.key,
                QuestionRow.role_id,
                RoleRow.name.label("role_name"),
                QuestionRow.position,
                QuestionRow.prompt,
            )
            .join(RoleRow, RoleRow.id == QuestionRow.role_id)
            .where(QuestionRow.active == true(), RoleRow.active == true())
            .order_by(RoleRow.name, RoleRow.id, QuestionRow.position)
        )
        return await self._all(RescorableQuestion, statement)

    async def asked(self, question_ids: Collection[UUID]) -> dict[UUID, AskedQuestion]:
        """Return the current texts of questions by id, also of inactive ones."""
        if not question_ids:
            return {}
        statement = select(QuestionRow.id.label("question_id"), QuestionRow.position, QuestionRow.prompt)
        found = await self._all(AskedQuestion, statement.where(QuestionRow.id.in_(question_ids)))
        return {each.question_id: each for each in found}

    async def outcomes(self, rescore_id: UUID) -> dict[str, int]:
        """Return the number of finished differences by outcome."""
        statement = (
            select(_row.outcome, func.count().label("assessments"))
            .where(_row.rescore_id == rescore_id, _row.status != "pending")
            .group_by(_row.outcome)
        )
        return {each.outcome: each.assessments for each in await self._all(OutcomeCount, statement)}

    async def differences(
        self, rescore_id: UUID, organization_id: UUID, outcome: str, after: UUID | None, limit: int
    ) -> list[ListedDifference]:
        """Return at most `limit` finished differences with this outcome, by assessment.

        Students who are being erased are left out. The organization is that of the re-score.
        """
        anonymous = is_anonymous(organization_id)
        statement = (
            select(
                *DIFFERENCE_COLUMNS,
                anonymous.label("anonymous"),
                case((~anonymous, UserRow.name)).label("student_name"),
                case((~anonymous, UserRow.email)).label("student_email"),
            )
            .join(AssessmentRow, AssessmentRow.id == _row.assessment_id)
            .join(UserRow, UserRow.id == AssessmentRow.user_id)
            .where(
                _row.rescore_id == rescore_id,
                _row.status != "pending",
                _row.outcome == outcome,
                UserRow.status.not_in(("erasing", "erased")),
            )
            .order_by(_row.assessment_id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(_row.assessment_id > after)
        return await self._all(ListedDifference, statement)

    async def open_changes(self, rescore_id: UUID, assessment_ids: Collection[UUID] | None = None) -> OpenChanges:
        """Count the changes that could be applied: all of them, or those of some assessments."""
        change = _row.new_points - _row.old_points
        statement = select(
            func.count().label("assessments"),
            func.count().filter(change > 0).label("up"),
            func.count().filter(change < 0).label("down"),
            func.count().filter(_row.reached_target).label("reached"),
            func.count().filter(_row.missed_target).label("missed"),
        ).where(_row.rescore_id == rescore_id, _row.status == "computed", _row.outcome == "changed")
        if assessment_ids is not None:
            statement = statement.where(_row.assessment_id.in_(assessment_ids))
        found = await self._one(OpenChanges, statement)
        assert found is not None  # noqa: S101  # an aggregate always has a row
        return found
