"""Statements that list assessments in pages, for students and for the staff."""

from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, and_, case, cast, column, exists, func, not_, select, true, tuple_

from persistence.queries.blind_reviews import is_anonymous, reviews_blindly
from persistence.queries.people_search import is_called
from persistence.queries.reader import Selected
from persistence.queries.release import has_status, is_degraded, is_released, needs_review, visible_columns
from persistence.queries.scope import seen_by
from persistence.queries.views import AccessScope, AssessmentFilter
from persistence.tables import AppealRow, AssessmentRow, CohortMemberRow, ReviewItemRow, RoleRow, UserRow
from persistence.tables.base import table_of


def page_of(viewer: AccessScope, found: AssessmentFilter, limit: int) -> Selected:
    """Select the columns of an AssessmentView of at most `limit` assessments, newest first."""
    conditions = [*seen_by(viewer), *_matching(found, viewer)]
    if found.cohort_id is not None:
        conditions = [AssessmentRow.id.in_(_newest_of_members(found.cohort_id, conditions, limit))]
    return (
        select(*assessment_columns(held=viewer.held))
        .where(*conditions)
        .order_by(AssessmentRow.created_at.desc(), AssessmentRow.id.desc())
        .limit(limit)
    )


def _newest_of_members(cohort_id: UUID, conditions: list[ColumnElement[bool]], limit: int) -> Selected:
    """Select the ids of the newest matching assessments of a cohort's members.

    The newest ones of each member are found by an index. So the cost depends on the size of the cohort, and not on the
    number of the organization's assessments.
    """
    of_member = (
        select(AssessmentRow.id, AssessmentRow.created_at)
        .where(AssessmentRow.user_id == CohortMemberRow.user_id, *conditions)
        .order_by(AssessmentRow.created_at.desc(), AssessmentRow.id.desc())
        .limit(limit)
        .correlate(CohortMemberRow)
        .lateral("of_member")
    )
    return (
        select(of_member.c.id)
        .select_from(CohortMemberRow)
        .join(of_member, true())
        .where(CohortMemberRow.cohort_id == cohort_id)
        .order_by(of_member.c.created_at.desc(), of_member.c.id.desc())
        .limit(limit)
    )


def for_staff(page: Selected, viewer: AccessScope) -> Selected:
    """Add the columns of a ListedAssessment to a page, so that only its rows are joined."""
    listed = page.add_columns(AssessmentRow.submitted_at).subquery("listed")
    item = table_of(ReviewItemRow).c
    why = func.unnest(item.reasons).table_valued(column("reason", Text)).render_derived()
    review = (
        select(
            func.count(item.question_snapshot_id.distinct()).label("waiting"),
            func.array_agg(why.c.reason.distinct()).label("reasons"),
        )
        .select_from(ReviewItemRow)
        .join(why, true())
        .where(item.assessment_id == listed.c.assessment_id, item.waiting)
        .lateral("review")
    )
    anonymous = and_(reviews_blindly(viewer.organization_id), review.c.waiting > 0)
    return (
        select(
            *listed.c,
            anonymous.label("anonymous"),
            case((~anonymous, UserRow.name)).label("student_name"),
            case((~anonymous, UserRow.email)).label("student_email"),
            RoleRow.name.label("role_name"),
            review.c.waiting,
            func.coalesce(review.c.reasons, cast([], ARRAY(Text))).label("waiting_reasons"),
        )
        .join(UserRow, UserRow.id == listed.c.user_id)
        .join(RoleRow, RoleRow.id == listed.c.role_id)
        .join(review, true())
        .order_by(listed.c.created_at.desc(), listed.c.assessment_id.desc())
    )


def assessment_columns(*, held: bool) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of an AssessmentView."""
    row = AssessmentRow
    return (
        row.id.label("assessment_id"),
        row.user_id.expression,
        row.role_id.expression,
        *(column.label(name) for name, column in visible_columns(held=held).items()),
        row.created_at.expression,
        row.started_at.expression,
        row.expires_at.expression,
        row.updated_at.label("last_updated_at"),
    )


_HAS_OPEN_APPEAL = exists().where(AppealRow.assessment_id == AssessmentRow.id, AppealRow.state == "open")


def _matching(found: AssessmentFilter, viewer: AccessScope) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter, except for its cohort."""
    row, held = AssessmentRow, viewer.held
    equal = {row.role_id: found.role_id, row.user_id: found.user_id}
    conditions = [column == value for column, value in equal.items() if value is not None]
    if found.appealed is not None:
        conditions.append(_HAS_OPEN_APPEAL if found.appealed else not_(_HAS_OPEN_APPEAL))
    if found.status is not None:
        conditions.append(has_status(found.status, held=held))
    flags = ((is_degraded, found.degraded), (needs_review, found.needs_review), (is_released, found.released))
    conditions += [is_set(value=value, held=held) for is_set, value in flags if value is not None]
    if found.since is not None:
        conditions.append(row.created_at >= found.since)
    if found.q is not None:
        theirs = UserRow.organization_id == viewer.organization_id  # else it would read the users of all organizations
        conditions.append(row.user_id.in_(select(UserRow.id).where(theirs, is_called(found.q))))
    if held and (found.q is not None or found.user_id is not None):
        conditions.append(not_(is_anonymous(viewer.organization_id)))  # what is found would name the student
    if found.after is not None:
        conditions.append(tuple_(row.created_at, row.id) < found.after)
    return conditions
