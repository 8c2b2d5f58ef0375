"""Hide students from reviewers in an organization that reviews blindly, as long as one of their essays waits."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, false, func, select

from persistence.tables import AssessmentRow, OrganizationRow, ReviewItemRow

SHOWS_WHOSE: Final = """
NOT (
  coalesce((SELECT (settings ->> 'blind')::boolean FROM organizations WHERE id = :organization_id), false)
  AND EXISTS (SELECT FROM review_items AS item WHERE item.assessment_id = assessments.id AND item.waiting)
)"""
"""The opposite of `is_anonymous`, for statements that are written as text and select from `assessments`."""


def reviews_blindly(organization_id: UUID | ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return whether the organization's setting `blind` is on."""
    blind = select(OrganizationRow.settings["blind"].as_boolean()).where(OrganizationRow.id == organization_id)
    return func.coalesce(blind.scalar_subquery(), false())


def is_anonymous(organization_id: UUID) -> ColumnElement[bool]:
    """Return the condition that the staff must not see whose the assessment is, until its essays are decided."""
    waits = exists().where(ReviewItemRow.assessment_id == AssessmentRow.id, ReviewItemRow.waiting)
    return and_(reviews_blindly(organization_id), waits)
