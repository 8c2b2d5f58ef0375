"""Conditions that limit a query to the assessments in a viewer's scope."""

from sqlalchemy import ColumnElement, bindparam

from persistence.queries.views import AccessScope
from persistence.tables import AssessmentRow


def seen_by(viewer: AccessScope) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the viewer's scope, on the organization and the user. Every query must use them."""
    return _seen(viewer.organization_id, viewer.user_id)


def _seen(organization: object, person: object) -> tuple[ColumnElement[bool], ...]:
    theirs = AssessmentRow.organization_id == organization
    return (theirs,) if person is None else (theirs, AssessmentRow.user_id == person)


def seen_by_parameters(*, own: bool) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of `seen_by` with the fields of the AccessScope as parameters."""
    return _seen(bindparam("organization_id"), bindparam("user_id") if own else None)
