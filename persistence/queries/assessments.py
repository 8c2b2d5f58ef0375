"""Read queries about assessments, results, roles and credentials: one statement each, in autocommit."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    not_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from persistence.database_errors import storage_failure
from persistence.queries.attempts import POLICY_COLUMNS, attempts_by
from persistence.queries.blind_reviews import is_anonymous, reviews_blindly
from persistence.queries.email_addresses import has_email
from persistence.queries.graded_items import GradedView, graded_columns
from persistence.queries.people_search import is_called
from persistence.queries.release import (
    has_status,
    is_degraded,
    is_released,
    is_released_revision,
    is_visible_revision,
    needs_review,
    visible_columns,
    visible_revision,
)
from persistence.queries.stages import current_stage
from persistence.queries.views import (
    AccessScope,
    Account,
    AssessmentFilter,
    AssessmentView,
    CredentialView,
    FeedbackView,
    ListedAssessment,
    PublishedView,
    RevisionView,
    RoleView,
    StatusView,
)
from persistence.tables import (
    AppealRow,
    AssessmentRow,
    CohortMemberRow,
    CredentialRow,
    EmbeddingArtifactRow,
    FeedbackRow,
    QuestionSnapshotRow,
    RecommendationRow,
    ResponseRow,
    ResultRevisionRow,
    ReviewItemRow,
    RoleRow,
    UserRow,
)
from persistence.tables.base import table_of

View = TypeVar("View")

Selected: TypeAlias = Select[*tuple[Any, ...]]


class Reader:
    """Run each query on a connection of its own in autocommit, so that it costs one round trip."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            if failure := storage_failure(error):
                raise failure from None
            raise

    async def _all(
        self, view: type[View], statement: Selected, parameters: Mapping[str, object] | None = None
    ) -> list[View]:
        async with self._connection() as connection:
            rows = await connection.execute(statement, parameters)
        return [view(**row) for row in rows.mappings()]

    async def _one(
        self, view: type[View], statement: Selected, parameters: Mapping[str, object] | None = None
    ) -> View | None:
        found = await self._all(view, statement, parameters)
        return found[0] if found else None


class Queries(Reader):
    async def ping(self) -> None:
        async with self._connection() as connection:
            await connection.execute(text("SELECT 1"))

    async def account_by_email(self, email: str) -> Account | None:
        """Return the active account with this address.

        Raises:
            ValueError: the address has no normal form.
        """
        return await self._one(Account, _accounts().where(has_email(email)))

    async def account(self, user_id: UUID) -> Account | None:
        return await self._one(Account, _accounts().where(UserRow.id == user_id))

    async def roles(self, student_id: UUID | None = None) -> list[RoleView]:
        """Return the active roles by name, with the attempts of a student."""
        return await self._all(RoleView, _roles(student_id).order_by(RoleRow.name, RoleRow.id))

    async def role(self, role_id: UUID, student_id: UUID | None = None) -> RoleView | None:
        return await self._one(RoleView, _roles(student_id).where(RoleRow.id == role_id))

    async def status(self, assessment_id: UUID, viewer: AccessScope) -> StatusView | None:
        return await self._one(
            StatusView,
            _status(own=viewer.user_id is not None, held=viewer.held),
            {"assessment_id": assessment_id, **asdict(viewer)},
        )

    async def assessments(self, viewer: AccessScope, found: AssessmentFilter, limit: int) -> list[AssessmentView]:
        """Return at most `limit` assessments, newest first."""
        return await self._all(AssessmentView, _page(viewer, found, limit))

    async def assessments_for_staff(
        self, viewer: AccessScope, found: AssessmentFilter, limit: int
    ) -> list[ListedAssessment]:
        """Return at most `limit` assessments with student, role and waiting reviews, newest first."""
        return await self._all(ListedAssessment, _for_staff(_page(viewer, found, limit), viewer))

    async def is_anonymous(self, assessment_id: UUID, viewer: AccessScope) -> bool:
        """Whether the staff must not see yet whose the assessment is."""
        statement = select(AssessmentRow.id).where(
            AssessmentRow.id == assessment_id, *seen_by(viewer), is_anonymous(viewer.organization_id)
        )
        async with self._connection() as connection:
            return await connection.scalar(statement) is not None

    async def published(
        self, assessment_id: UUID, viewer: AccessScope, *, revision: int | None = None
    ) -> PublishedView | None:
        """Return the result that the viewer sees as the current one, or that of an earlier `revision`."""
        statement = _published(own=viewer.user_id is not None, held=viewer.held, current=revision is None)
        wanted = {"assessment_id": assessment_id, "revision": revision, **asdict(viewer)}
        return await self._one(PublishedView, statement, wanted)

    async def graded_items(self, assessment_id: UUID, viewer: AccessScope) -> GradedView | None:
        """Return the visible result with the history of its items."""
        own = viewer.user_id is not None
        wanted = {"assessment_id": assessment_id, **asdict(viewer)}
        return await self._one(
            GradedView,
            _published(own=own, held=viewer.held, current=True).add_columns(*graded_columns(own=own)),
            wanted,
        )

    async def revisions(self, assessment_id: UUID, viewer: AccessScope) -> list[RevisionView]:
        """Return the revisions that the viewer may see, oldest first; an empty list if there is no such assessment."""
        statement = (
            select(
                ResultRevisionRow.revision,
                is_released_revision().label("released"),
                ResultRevisionRow.created_at.label("published_at"),
            )
            .join(AssessmentRow, AssessmentRow.id == ResultRevisionRow.assessment_id)
            .where(AssessmentRow.id == assessment_id, *seen_by(viewer), is_visible_revision(held=viewer.held))
            .order_by(ResultRevisionRow.revision)
        )
        return await self._all(RevisionView, statement)

    async def is_recommended(self, recommendation_id: UUID, viewer: AccessScope) -> bool:
        """Whether the recommendation exists and is inside the viewer's scope."""
        statement = (
            select(RecommendationRow.id)
            .join(AssessmentRow, AssessmentRow.id == RecommendationRow.assessment_id)
            .where(RecommendationRow.id == recommendation_id, *seen_by(viewer), visible_revision(held=viewer.held) > 0)
        )
        async with self._connection() as connection:
            return await connection.scalar(statement) is not None

    async def feedback(
        self, recommendation_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[FeedbackView]:
        """Return at most `limit` reactions, newest first."""
        said = FeedbackRow
        statement = _feedback().where(said.recommendation_id == recommendation_id)
        if after is not None:
            statement = statement.where(tuple_(said.submitted_at, said.id) < after)
        newest = statement.order_by(said.submitted_at.desc(), said.id.desc())
        return await self._all(FeedbackView, newest.limit(limit))

    async def credentials(self, role_id: UUID | None, *, page: int, page_size: int) -> tuple[list[CredentialView], int]:
        """Return a page of the active credentials by title, and their total number."""
        matching = _teaches(role_id)
        statement = active_credentials().where(*matching).order_by(CredentialRow.title, CredentialRow.id)
        total = select(func.count().label("total")).where(CredentialRow.active, *matching)
        async with self._connection() as connection:
            found = await connection.execute(statement.limit(page_size).offset((page - 1) * page_size))
            count = await connection.execute(total)
        return [CredentialView(**row) for row in found.mappings()], count.scalar_one()

    async def credential(self, credential_id: UUID) -> CredentialView | None:
        return await self._one(CredentialView, active_credentials().where(CredentialRow.id == credential_id))


def _page(viewer: AccessScope, found: AssessmentFilter, limit: int) -> Selected:
    conditions = [*seen_by(viewer), *_matching(found, viewer)]
    if found.cohort_id is not None:
        conditions = [AssessmentRow.id.in_(_newest_of_members(found.cohort_id, conditions, limit))]
    return (
        select(*_assessment_columns(held=viewer.held))
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


def _for_staff(page: Selected, viewer: AccessScope) -> Selected:
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


# The most frequent statements are built once, because building one takes longer than the rest of its request.
@cache
def _status(*, own: bool, held: bool) -> Selected:
    responses = select(func.count()).where(ResponseRow.assessment_id == AssessmentRow.id)
    snapshots = select(func.count()).where(QuestionSnapshotRow.assessment_id == AssessmentRow.id)
    return _with_revision(
        select(
            *_assessment_columns(held=held),
            responses.scalar_subquery().label("answered"),
            snapshots.scalar_subquery().label("total"),
            ResultRevisionRow.document["score"].label("score"),
            ResultRevisionRow.document["skills"].label("skills"),
            current_stage().label("stage"),
        ),
        ResultRevisionRow.revision == visible_revision(held=held),
    ).where(AssessmentRow.id == bindparam("assessment_id"), *_seen_by_parameters(own=own))


@cache
def _published(*, own: bool, held: bool, current: bool) -> Selected:
    visible = visible_columns(held=held)
    wanted = ResultRevisionRow.revision == (visible["revision"] if current else bindparam("revision", type_=Integer))
    released = func.jsonb_build_object("released", is_released_revision())
    statement = _with_revision(
        select(
            *(visible[name].label(name) for name in ("status", "failure_reason", "revision", "in_review")),
            current_stage().label("stage"),
            cast(ResultRevisionRow.document.op("||")(released), Text).label("document"),
        ),
        wanted & is_visible_revision(held=held),
    ).where(AssessmentRow.id == bindparam("assessment_id"), *_seen_by_parameters(own=own))
    if not own:
        return statement
    attempts = attempts_by(AssessmentRow.user_id, AssessmentRow.role_id)
    return (
        statement.add_columns(*POLICY_COLUMNS, *attempts.c)
        .join(RoleRow, RoleRow.id == AssessmentRow.role_id)
        .join(attempts, true())
    )


def _with_revision(statement: Selected, revision: ColumnElement[bool]) -> Selected:
    """Join the revision of each assessment's result that fulfils the condition, if there is one."""
    return statement.select_from(AssessmentRow).outerjoin(
        ResultRevisionRow, (ResultRevisionRow.assessment_id == AssessmentRow.id) & revision
    )


def _feedback() -> Selected:
    return select(
        FeedbackRow.id.label("feedback_id"),
        FeedbackRow.revision,
        FeedbackRow.credential_id,
        FeedbackRow.submitted_by,
        FeedbackRow.submitted_by_role,
        FeedbackRow.relevance_score,
        FeedbackRow.acceptance_status,
        FeedbackRow.comments,
        FeedbackRow.submitted_at.label("created_at"),
    )


def _accounts() -> Selected:
    return select(
        UserRow.id.label("user_id"),
        UserRow.role,
        UserRow.organization_id,
        UserRow.token_version,
        UserRow.must_change_password,
        UserRow.email,
        UserRow.password_hash,
    ).where(UserRow.status == "active")


def _roles(student_id: UUID | None) -> Selected:
    roles = select(
        RoleRow.id,
        RoleRow.key,
        RoleRow.name,
        RoleRow.description,
        RoleRow.skills_profile.label("skills"),
        RoleRow.prerequisites,
        *POLICY_COLUMNS,
        func.clock_timestamp().label("now"),
    ).where(RoleRow.active)
    if student_id is None:
        return roles
    attempts = attempts_by(student_id, RoleRow.id)
    return roles.add_columns(*attempts.c).select_from(RoleRow).join(attempts, true())


def _assessment_columns(*, held: bool) -> tuple[ColumnElement[Any], ...]:
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


def seen_by(viewer: AccessScope) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the viewer's scope, on the organization and the user. Every query must use them."""
    return _seen(viewer.organization_id, viewer.user_id)


def _seen(organization: object, person: object) -> tuple[ColumnElement[bool], ...]:
    theirs = AssessmentRow.organization_id == organization
    return (theirs,) if person is None else (theirs, AssessmentRow.user_id == person)


def _seen_by_parameters(*, own: bool) -> tuple[ColumnElement[bool], ...]:
    """Return the same conditions with the fields of an AccessScope as parameters."""
    return _seen(bindparam("organization_id"), bindparam("user_id") if own else None)


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
        conditions.append(row.user_id.in_(select(UserRow.id).where(is_called(found.q))))
    if held and (found.q is not None or found.user_id is not None):
        conditions.append(not_(is_anonymous(viewer.organization_id)))  # what is found would name the student
    if found.after is not None:
        conditions.append(tuple_(row.created_at, row.id) < found.after)
    return conditions


def active_credentials() -> Selected:
    """Select active credentials, each with the newest artifact of its current text, which the search uses."""
    artifact = (
        select(EmbeddingArtifactRow.id)
        .where(
            EmbeddingArtifactRow.entity_type == "credential",
            EmbeddingArtifactRow.entity_id == CredentialRow.id,
            EmbeddingArtifactRow.text_hash == CredentialRow.text_hash,
        )
        .order_by(EmbeddingArtifactRow.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(
        CredentialRow.id,
        CredentialRow.title,
        CredentialRow.description,
        CredentialRow.skills,
        CredentialRow.provider,
        CredentialRow.level,
        CredentialRow.hours,
        CredentialRow.source_uri,
        CredentialRow.prerequisites,
        cast(artifact, Text).label("embedding_vector_ref"),
    ).where(CredentialRow.active)


def _teaches(role_id: UUID | None) -> tuple[ColumnElement[bool], ...]:
    """Select credentials that teach a skill of the role; none for an unknown role."""
    if role_id is None:
        return ()
    targets = select(func.jsonb_array_elements(RoleRow.skills_profile).op("->>")("skill")).where(
        RoleRow.id == role_id, RoleRow.active
    )
    return (CredentialRow.skills.op("&&")(func.array(targets.scalar_subquery(), type_=ARRAY(Text))),)
