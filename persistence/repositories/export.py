"""Export all data about a user as one JSON document: a list of rows per table.

The user may read the document, so it has no result that is held. The rows of the current result follow after the
release; meanwhile `result_revisions` has the results that the user has seen.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import ColumnElement, literal_column, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.assessments.attempts import Reveal
from domain.grading.rules import explain_without_answer
from persistence.database import storage_errors
from persistence.queries.attempts import POLICY_COLUMNS, AttemptView, attempts_by
from persistence.queries.people_views import PeopleScope
from persistence.queries.reader import Reader, Selected
from persistence.queries.release import visible_columns
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.people import locked_person
from persistence.repositories.result_document import without_answers
from persistence.tables import (
    AccountLinkRow,
    AnswerShingleRow,
    AppealRow,
    AssessmentRow,
    AsyncJobRow,
    AuditLogRow,
    Base,
    CatalogImportRow,
    CohortMemberRow,
    CohortRow,
    DeniedRequestsRow,
    EssayReviewRow,
    EssayScoreRow,
    FeedbackRow,
    FlaggedQuestionRow,
    GradingExamplesRow,
    IdempotencyKeyRow,
    LearnerCredentialRow,
    MetricSnapshotRow,
    ModelAnswerRow,
    QuestionSnapshotRow,
    RagTraceRow,
    RecommendationItemRow,
    RecommendationRow,
    RefreshTokenRow,
    RescoreDifferenceRow,
    RescoreRow,
    ResponseRow,
    ResultRevisionRow,
    ReviewItemRow,
    RoleRow,
    RuleScoreRow,
    UserRow,
    WebhookAttemptRow,
    WebhookDeliveryRow,
    WebhookEventRow,
    WebSessionRow,
)
from persistence.tables.base import table_of
from persistence.unit_of_work import sessions

_ASSESSED: Final = "assessment_id IN (SELECT id FROM assessments WHERE user_id = :user_id)"
_OF_USER: Final = "SELECT id FROM assessments AS a WHERE user_id = :user_id"
_SHOWN: Final = "coalesce(a.released_revision, a.revision)"
_RELEASED: Final = f"assessment_id IN ({_OF_USER} AND released_revision IS NULL AND status <> 'awaiting_async')"
_RELEASED_REVISION: Final = f"assessment_id IN ({_OF_USER} AND result_revisions.revision <= {_SHOWN}) AND NOT held"
_RELEASED_REVIEW: Final = f"assessment_id IN ({_OF_USER} AND essay_reviews.published_revision <= {_SHOWN})"
_RECOMMENDED: Final = f"recommendation_id IN (SELECT id FROM recommendations WHERE {_RELEASED})"  # noqa: S608  # of this file
_RATED: Final = f"""recommendation_id IN (
  SELECT r.id FROM recommendations AS r JOIN assessments AS a ON a.id = r.assessment_id
  WHERE a.user_id = :user_id AND recommendation_feedback.revision <= {_SHOWN}
)"""  # noqa: S608  # of this file
_SENT: Final = f"event_id IN (SELECT id FROM webhook_events WHERE {_ASSESSED})"  # noqa: S608  # of this file
_OWN: Final = "user_id = :user_id"
_NO_ASSESSMENT: Final = UUID(int=0)
PAGE: Final = 1000
"""Rows that one statement reads of a table that grows with a user's work."""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """A condition for the rows of a table that are about the user, and the columns that the export omits.

    `replaced` are expressions that replace columns. `in_pages` is a condition for further rows, which are many and are
    therefore read in pages, in the order of an index by `created_at` and `id`.
    """

    condition: str
    omitted: frozenset[str] = frozenset()
    replaced: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)
    in_pages: str | None = None


PERSONAL_DATA: Final[Mapping[type[Base], PersonalData]] = {
    UserRow: PersonalData("id = :user_id", frozenset({"password_hash"})),
    RefreshTokenRow: PersonalData(_OWN, frozenset({"token_hash"})),
    WebSessionRow: PersonalData(_OWN, frozenset({"token_hash"})),
    AccountLinkRow: PersonalData(_OWN, frozenset({"token_hashes"})),
    LearnerCredentialRow: PersonalData(_OWN),
    CohortMemberRow: PersonalData(_OWN),
    CohortRow: PersonalData("id IN (SELECT cohort_id FROM cohort_members WHERE user_id = :user_id)"),
    IdempotencyKeyRow: PersonalData(_OWN, frozenset({"request_hash", "hash_key_id", "named_ids"})),
    DeniedRequestsRow: PersonalData(_OWN),
    AssessmentRow: PersonalData(_OWN, replaced=visible_columns(held=False)),
    QuestionSnapshotRow: PersonalData(_ASSESSED, frozenset({"rubric"})),  # it contains the correct answers
    ResponseRow: PersonalData(_ASSESSED),
    AnswerShingleRow: PersonalData(
        f"question_snapshot_id IN (SELECT id FROM assessment_question_snapshots WHERE {_ASSESSED})"  # noqa: S608  # of this file
    ),
    FlaggedQuestionRow: PersonalData(
        f"question_snapshot_id IN (SELECT id FROM assessment_question_snapshots WHERE {_ASSESSED})"  # noqa: S608  # of this file
    ),
    AsyncJobRow: PersonalData(_ASSESSED, frozenset({"payload"})),  # outputs of a result that is not published yet
    ModelAnswerRow: PersonalData(_RELEASED),
    GradingExamplesRow: PersonalData(_RELEASED),
    RuleScoreRow: PersonalData(_RELEASED),
    EssayScoreRow: PersonalData(
        _RELEASED,
        replaced={"response_payload": literal_column("essay_scores.response_payload - 'copied_from'", JSONB)},
    ),
    EssayReviewRow: PersonalData(f"{_RELEASED_REVIEW} OR reviewer_id = :user_id"),
    ReviewItemRow: PersonalData(f"{_OWN} OR claimed_by = :user_id"),
    AppealRow: PersonalData("user_id = :user_id OR answered_by = :user_id"),
    ResultRevisionRow: PersonalData(_RELEASED_REVISION),
    RescoreRow: PersonalData("requested_by = :user_id"),
    # A difference that is not applied is no result. One that is applied is in the revisions.
    RescoreDifferenceRow: PersonalData(
        f"{_ASSESSED} AND status = 'applied'", frozenset({"essays", "difference", "proposal"})
    ),
    RecommendationRow: PersonalData(_RELEASED),
    RecommendationItemRow: PersonalData(_RECOMMENDED),
    RagTraceRow: PersonalData(_RECOMMENDED),
    FeedbackRow: PersonalData(f"{_RATED} OR submitted_by = :user_id"),
    MetricSnapshotRow: PersonalData(_RELEASED),
    WebhookEventRow: PersonalData(_ASSESSED, frozenset({"body"})),  # the same data as the payload
    WebhookDeliveryRow: PersonalData(_SENT),
    WebhookAttemptRow: PersonalData(f"delivery_id IN (SELECT id FROM webhook_deliveries WHERE {_SENT})"),  # noqa: S608  # of this file
    CatalogImportRow: PersonalData("requested_by = :user_id"),
    AuditLogRow: PersonalData(
        "actor_id IS DISTINCT FROM :user_id AND (resource_id = :user_id"
        " OR resource_type = 'assessment' AND resource_id IN (SELECT id FROM assessments WHERE user_id = :user_id)"
        " OR resource_type = 'appeal' AND resource_id IN (SELECT id FROM appeals WHERE user_id = :user_id))",
        in_pages="actor_id = :user_id",
    ),
}
"""Every table that refers to a user through its foreign keys, the user's cohorts, and the audit trail."""


class Exports(Reader):
    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._sessions = sessions(engine)

    async def begin(self, user_id: UUID, viewer: PeopleScope, admin: Actor) -> None:
        """Write the audit row of an export and commit it before any data is read.

        Raises:
            NotFound: the user does not exist or is outside the viewer's scope.
            Erased: the user is being erased.
        """
        with storage_errors():
            async with self._sessions() as session:
                person = await locked_person(session, user_id, viewer)
                await audit.record(session, admin, "user.exported", "user", user_id, person.organization_id)
                await session.commit()

    async def document(self, user_id: UUID) -> AsyncIterator[bytes]:
        """Yield the document table by table and page by page; no connection is used between two of them.

        It goes to the student, so it tells no right answers where the role does not reveal them.
        """
        withheld = await self._withheld(user_id)
        yield b'{"user_id":' + to_json(user_id)
        for row, data in PERSONAL_DATA.items():
            yield b"," + to_json(row.__tablename__) + b":["
            comma = b""
            async for rows in self._pages(row, data, user_id):
                plain = [_plain(_without_answers(row, each, withheld)) for each in rows]
                yield comma + to_json(plain)[1:-1]
                comma = b","
            yield b"]"
        yield b"}"

    async def _withheld(self, user_id: UUID) -> dict[UUID, Reveal]:
        """Return the user's assessments whose right answers the user must not see, with the role's rule."""
        attempts = attempts_by(user_id, RoleRow.id)
        statement = (
            select(AssessmentRow.id, *POLICY_COLUMNS, *attempts.c)
            .select_from(AssessmentRow)
            .join(RoleRow, RoleRow.id == AssessmentRow.role_id)
            .join(attempts, true())
            .where(AssessmentRow.user_id == user_id)
        )
        async with self._connection() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        views = {row["id"]: AttemptView(**{name: row[name] for name in row if name != "id"}) for row in rows}
        return {key: view.policy.reveal for key, view in views.items() if not view.reveals_answers}

    async def _pages(
        self, row: type[Base], data: PersonalData, user_id: UUID
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """Yield the rows of a table in lists that are not empty."""
        table = table_of(row)
        columns = [
            data.replaced.get(column.name, column).label(column.name)
            for column in table.c
            if column.name not in data.omitted
        ]
        statement = select(*columns)
        rows = await self._rows(statement.where(text(data.condition)).order_by(*table.primary_key), user_id)
        if rows:
            yield rows
        if data.in_pages is None:
            return
        order = (table.c.created_at, table.c.id)
        statement = statement.where(text(data.in_pages)).order_by(*order).limit(PAGE)
        rows = await self._rows(statement, user_id)
        while rows:
            yield rows
            after = tuple_(*order) > (rows[-1]["created_at"], rows[-1]["id"])
            rows = await self._rows(statement.where(after), user_id) if len(rows) == PAGE else []

    async def _rows(self, statement: Selected, user_id: UUID) -> list[Mapping[str, Any]]:
        async with self._connection() as connection:
            found = await connection.execute(statement, {"user_id": user_id})
        return [dict(each) for each in found.mappings()]


def _without_answers(table: type[Base], row: Mapping[str, Any], withheld: Mapping[UUID, Reveal]) -> Mapping[str, Any]:
    """Remove the right answers from a row about an assessment in `withheld`."""
    reveal = withheld.get(row.get("assessment_id", _NO_ASSESSMENT))
    if reveal is None:
        return row
    if table is ResultRevisionRow:
        return {**row, "document": without_answers(row["document"], reveal)}
    if table is RuleScoreRow:
        applied = row["rules_applied"]
        fraction = None if applied["fraction"] is None else Decimal(str(applied["fraction"]))
        return {**row, "explanation": explain_without_answer(applied["rule"], fraction, reveal)}
    return row


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Decode bytes as text."""
    return {name: value.decode(errors="replace") if isinstance(value, bytes) else value for name, value in row.items()}
