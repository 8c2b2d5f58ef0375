"""Which revision of a result a viewer may see. Every query that shows a result to a viewer uses it."""

from sqlalchemy import ColumnElement

from persistence.tables import AssessmentRow


def visible_revision(*, own: bool) -> ColumnElement[int]:  # noqa: ARG001  # a held result is not visible to its owner
    """Return the newest revision of an assessment that the viewer may see; 0 if there is none.

    `own`: the viewer is the student. Earlier revisions are visible too.
    """
    return AssessmentRow.revision.expression
