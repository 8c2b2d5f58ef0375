"""Which revision of a result a viewer may see. Every query about results must use these expressions.

A viewer who may not see held results (`AccessScope.held` is false) sees an assessment without a released result as one
that still awaits its result.
"""

from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, and_, case, false, func, literal, null, or_, select, true

from domain.assessments.lifecycle import AssessmentStatus, Healing
from persistence.tables import AssessmentRow, ResultRevisionRow

_row: Final = AssessmentRow
_COMPLETED: Final = _row.status == AssessmentStatus.COMPLETED.value
_SHOWN: Final = func.coalesce(_row.released_revision, _row.revision)
IN_REVIEW: Final = and_(_COMPLETED, _row.released_revision == 0)
"""There is a result, but the student has no result yet."""


def visible_revision(*, held: bool) -> ColumnElement[int]:
    """Return the number of the revision that the viewer may see as the current one; 0: none."""
    return _row.revision.expression if held else _SHOWN


def is_visible_revision(*, held: bool) -> ColumnElement[bool]:
    """Return the condition that the viewer may read a row of `result_revisions`, joined to its assessment.

    A revision that was replaced while it was held is never visible to students and partners.
    """
    return true() if held else is_released_revision()


def is_released_revision() -> ColumnElement[bool]:
    """Return the condition that a row of `result_revisions`, joined to its assessment, is or was shown."""
    return and_(ResultRevisionRow.revision <= _SHOWN, ~ResultRevisionRow.held)


def visible_columns(*, held: bool) -> dict[str, ColumnElement[Any]]:
    """Return the columns of an assessment that depend on its release, as the viewer may see them."""
    released_at = case((_SHOWN > 0, func.coalesce(_row.released_at, _row.completed_at)))
    if held:
        own = ("status", "revision", "degraded", "needs_review", "healing", "failure_reason", "completed_at")
        return {
            **{name: getattr(_row, name).expression for name in own},
            "released": case((_COMPLETED, _row.released_revision.is_(None))),
            "released_at": released_at,
            "in_review": literal(value=False),
        }
    return {
        "status": case((IN_REVIEW, AssessmentStatus.AWAITING_ASYNC.value), else_=_row.status),
        "revision": _SHOWN,
        "degraded": case((_row.released_revision.is_(None), _row.degraded), else_=_shown_is_degraded()),
        "needs_review": case((_row.released_revision.is_(None), _row.needs_review), else_=_shown_needs_review()),
        "healing": case((IN_REVIEW, Healing.NONE.value), else_=_row.healing),
        "failure_reason": case((IN_REVIEW, null()), else_=_row.failure_reason),
        "completed_at": case((IN_REVIEW, null()), else_=_row.completed_at),
        "released": case((and_(_COMPLETED, _SHOWN > 0), true())),
        "released_at": released_at,
        "in_review": func.coalesce(IN_REVIEW, false()),
    }


def has_status(status: str, *, held: bool) -> ColumnElement[bool]:
    """Return the condition that the viewer sees the assessment with this status. It can use the indexes."""
    own = _row.status == status
    if held:
        return own
    match status:
        case AssessmentStatus.COMPLETED:
            return and_(own, _row.released_revision.is_distinct_from(0))
        case AssessmentStatus.AWAITING_ASYNC:
            return or_(own, IN_REVIEW)
        case _:
            return own


def is_degraded(*, value: bool, held: bool) -> ColumnElement[bool]:
    """Return the condition that the viewer sees the result as degraded, or as not degraded."""
    own = _row.degraded == value
    return own if held else _unless_held(own, _shown_is_degraded() == value)


def needs_review(*, value: bool, held: bool) -> ColumnElement[bool]:
    """Return the condition that the viewer sees an item that waits for a review, or none."""
    own = _row.needs_review == value
    return own if held else _unless_held(own, _shown_needs_review() == value)


def is_released(*, value: bool, held: bool) -> ColumnElement[bool]:
    """Return the condition that there is a result and that it is released, or held."""
    if value:
        return and_(
            _COMPLETED, _row.released_revision.is_(None) if held else _row.released_revision.is_distinct_from(0)
        )
    return _row.released_revision.is_not(None) if held else false()


def _unless_held(own: ColumnElement[bool], shown: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return one condition for released results and one for held results, so that each can use its partial index."""
    return or_(and_(_row.released_revision.is_(None), own), and_(_row.released_revision.is_not(None), shown))


def _shown_is_degraded() -> ColumnElement[bool]:
    return _of_shown(ResultRevisionRow.document["degraded"].as_boolean())


def _shown_needs_review() -> ColumnElement[bool]:
    return _of_shown(ResultRevisionRow.document.contains({"scores": [{"needs_review": True}]}))


def _of_shown(value: ColumnElement[bool]) -> ColumnElement[bool]:
    """Read a value from the document that the student sees while a later revision is held; false without one."""
    document = select(value).where(
        ResultRevisionRow.assessment_id == _row.id, ResultRevisionRow.revision == _row.released_revision
    )
    return func.coalesce(document.correlate(AssessmentRow).scalar_subquery(), false(), type_=Boolean)
