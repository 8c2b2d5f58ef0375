"""Read queries about assessments, results, roles and credentials: one statement each, in autocommit."""

from collections.abc import Collection
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    not_,
    or_,
    select,
    text,
    true,
)

from persistence.queries.assessment_lists import assessment_columns, for_staff, page_of
from persistence.queries.attempts import POLICY_COLUMNS, attempts_by
from persistence.queries.blind_reviews import is_anonymous
from persistence.queries.email_addresses import has_email
from persistence.queries.graded_items import GradedView, graded_columns
from persistence.queries.reader import Position, Reader, Selected, newest
from persistence.queries.release import is_released_revision, is_visible_revision, visible_columns, visible_revision
from persistence.queries.scope import seen_by, seen_by_parameters
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
    AssessmentRow,
    CredentialRow,
    EmbeddingArtifactRow,
    FeedbackRow,
    QuestionSnapshotRow,
    RecommendationRow,
    ResponseRow,
    ResultRevisionRow,
    RoleRow,
    UserRow,
)


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
        return await self._one(Account, _account(), {"id": user_id})

    async def roles(self, student_id: UUID | None = None) -> list[RoleView]:
        """Return the active roles by name, with the attempts of a student."""
        return await self._all(RoleView, _roles(student_id).order_by(RoleRow.name, RoleRow.id))

    async def role(self, role_id: UUID, student_id: UUID | None = None) -> RoleView | None:
        return await self._one(RoleView, _roles(student_id).where(RoleRow.id == role_id))

    async def status(self, assessment_id: UUID, viewer: AccessScope) -> StatusView | None:
        return await self._one(
            StatusView,
            _status(own=viewer.user_id is not None, held=viewer.held),
            {"assessment_id": assessment_id, **_parameters(viewer)},
        )

    async def assessments(self, viewer: AccessScope, found: AssessmentFilter, limit: int) -> list[AssessmentView]:
        """Return at most `limit` assessments, newest first."""
        return await self._all(AssessmentView, page_of(viewer, found, limit))

    async def assessments_for_staff(
        self, viewer: AccessScope, found: AssessmentFilter, limit: int
    ) -> list[ListedAssessment]:
        """Return at most `limit` assessments with student, role and waiting reviews, newest first."""
        return await self._all(ListedAssessment, for_staff(page_of(viewer, found, limit), viewer))

    async def is_anonymous(self, assessment_id: UUID, viewer: AccessScope) -> bool:
        """Whether the staff must not see yet whose the assessment is."""
        statement = select(AssessmentRow.id).where(
            AssessmentRow.id == assessment_id, *seen_by(viewer), is_anonymous(viewer.organization_id)
        )
        async with self._connection() as connection:
            return await connection.scalar(statement) is not None

    async def with_result(self, assessment_ids: Collection[UUID], viewer: AccessScope) -> frozenset[UUID]:
        """Return those of the assessments that have a result and are inside the viewer's scope."""
        if not assessment_ids:
            return frozenset()
        result = visible_revision(held=viewer.held) > 0
        statement = select(AssessmentRow.id).where(AssessmentRow.id.in_(assessment_ids), *seen_by(viewer), result)
        async with self._connection() as connection:
            return frozenset(await connection.scalars(statement))

    async def published(
        self, assessment_id: UUID, viewer: AccessScope, *, revision: int | None = None
    ) -> PublishedView | None:
        """Return the result that the viewer sees as the current one, or that of an earlier `revision`."""
        statement = _published(own=viewer.user_id is not None, held=viewer.held, current=revision is None)
        wanted = {"assessment_id": assessment_id, "revision": revision, **_parameters(viewer)}
        return await self._one(PublishedView, statement, wanted)

    async def graded_items(self, assessment_id: UUID, viewer: AccessScope) -> GradedView | None:
        """Return the visible result with the history of its items."""
        own = viewer.user_id is not None
        wanted = {"assessment_id": assessment_id, **_parameters(viewer)}
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
        self, recommendation_id: UUID, viewer: AccessScope, after: Position | None, limit: int
    ) -> list[FeedbackView]:
        """Return at most `limit` reactions, newest first."""
        said = FeedbackRow
        statement = _feedback(viewer).where(said.recommendation_id == recommendation_id)
        page = newest(statement, said.submitted_at.expression, said.id.expression, after, limit)
        return await self._all(FeedbackView, page)

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


# The most frequent statements are built once, because building one takes longer than the rest of its request.
@cache
def _status(*, own: bool, held: bool) -> Selected:
    responses = select(func.count()).where(ResponseRow.assessment_id == AssessmentRow.id)
    snapshots = select(func.count()).where(QuestionSnapshotRow.assessment_id == AssessmentRow.id)
    return _with_revision(
        select(
            *assessment_columns(held=held),
            responses.scalar_subquery().label("answered"),
            snapshots.scalar_subquery().label("total"),
            ResultRevisionRow.document["score"].label("score"),
            ResultRevisionRow.document["skills"].label("skills"),
            current_stage().label("stage"),
        ),
        ResultRevisionRow.revision == visible_revision(held=held),
    ).where(AssessmentRow.id == bindparam("assessment_id"), *seen_by_parameters(own=own))


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
    ).where(AssessmentRow.id == bindparam("assessment_id"), *seen_by_parameters(own=own))
    if not own:
        return statement
    attempts = attempts_by(AssessmentRow.user_id, AssessmentRow.role_id)
    return (
        statement.add_columns(*POLICY_COLUMNS, *attempts.c)
        .join(RoleRow, RoleRow.id == AssessmentRow.role_id)
        .join(attempts, true())
    )


def _parameters(viewer: AccessScope) -> dict[str, object]:
    """Return the parameters of `seen_by_parameters`."""
    return {"organization_id": viewer.organization_id, "user_id": viewer.user_id}


@cache
def _account() -> Selected:
    return _accounts().where(UserRow.id == bindparam("id"))


def _with_revision(statement: Selected, revision: ColumnElement[bool]) -> Selected:
    """Join the revision of each assessment's result that fulfils the condition, if there is one."""
    return statement.select_from(AssessmentRow).outerjoin(
        ResultRevisionRow, (ResultRevisionRow.assessment_id == AssessmentRow.id) & revision
    )


def _feedback(viewer: AccessScope) -> Selected:
    """Select feedback. Its student is absent as long as the staff must not see whose the assessment is."""
    submitted_by: ColumnElement[Any] = FeedbackRow.submitted_by.expression
    if viewer.held:
        hidden = exists().where(
            RecommendationRow.id == FeedbackRow.recommendation_id,
            AssessmentRow.id == RecommendationRow.assessment_id,
            is_anonymous(viewer.organization_id),
        )
        shown = or_(FeedbackRow.submitted_by_role != "student", not_(hidden))
        submitted_by = case((shown, FeedbackRow.submitted_by)).label("submitted_by")
    return select(
        FeedbackRow.id.label("feedback_id"),
        FeedbackRow.revision,
        FeedbackRow.credential_id,
        submitted_by,
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
