"""Export all data about a user as one JSON document: a list of rows per table."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database_errors import storage_errors
from persistence.queries.assessments import Reader
from persistence.queries.people_views import PeopleScope
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.people import locked_person
from persistence.tables import (
    AssessmentRow,
    AsyncJobRow,
    AuditLogRow,
    Base,
    CatalogImportRow,
    DeniedRequestsRow,
    EssayReviewRow,
    EssayScoreRow,
    FeedbackRow,
    FlaggedQuestionRow,
    IdempotencyKeyRow,
    LearnerCredentialRow,
    MetricSnapshotRow,
    ModelAnswerRow,
    QuestionSnapshotRow,
    RagTraceRow,
    RecommendationItemRow,
    RecommendationRow,
    RefreshTokenRow,
    ResponseRow,
    ResultRevisionRow,
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
_RECOMMENDED: Final = f"recommendation_id IN (SELECT id FROM recommendations WHERE {_ASSESSED})"  # noqa: S608  # of this file
_SENT: Final = f"event_id IN (SELECT id FROM webhook_events WHERE {_ASSESSED})"  # noqa: S608  # of this file
_OWN: Final = "user_id = :user_id"


@dataclass(frozen=True, slots=True)
class PersonalData:
    """A condition for the rows of a table that are about the user, and the columns that the export omits."""

    condition: str
    omitted: frozenset[str] = frozenset()


PERSONAL_DATA: Final[Mapping[type[Base], PersonalData]] = {
    UserRow: PersonalData("id = :user_id", frozenset({"password_hash"})),
    RefreshTokenRow: PersonalData(_OWN, frozenset({"token_hash"})),
    WebSessionRow: PersonalData(_OWN, frozenset({"token_hash"})),
    LearnerCredentialRow: PersonalData(_OWN),
    IdempotencyKeyRow: PersonalData(_OWN, frozenset({"request_hash", "hash_key_id"})),
    DeniedRequestsRow: PersonalData(_OWN),
    AssessmentRow: PersonalData(_OWN),
    QuestionSnapshotRow: PersonalData(_ASSESSED, frozenset({"rubric"})),  # it contains the correct answers
    ResponseRow: PersonalData(_ASSESSED),
    FlaggedQuestionRow: PersonalData(
        f"question_snapshot_id IN (SELECT id FROM assessment_question_snapshots WHERE {_ASSESSED})"  # noqa: S608  # of this file
    ),
    AsyncJobRow: PersonalData(_ASSESSED),
    ModelAnswerRow: PersonalData(_ASSESSED),
    RuleScoreRow: PersonalData(_ASSESSED),
    EssayScoreRow: PersonalData(_ASSESSED),
    EssayReviewRow: PersonalData(f"{_ASSESSED} OR reviewer_id = :user_id"),
    ResultRevisionRow: PersonalData(_ASSESSED),
    RecommendationRow: PersonalData(_ASSESSED),
    RecommendationItemRow: PersonalData(_RECOMMENDED),
    RagTraceRow: PersonalData(_RECOMMENDED),
    FeedbackRow: PersonalData(f"{_RECOMMENDED} OR submitted_by = :user_id"),
    MetricSnapshotRow: PersonalData(_ASSESSED),
    WebhookEventRow: PersonalData(_ASSESSED, frozenset({"body"})),  # the same data as the payload
    WebhookDeliveryRow: PersonalData(_SENT),
    WebhookAttemptRow: PersonalData(f"delivery_id IN (SELECT id FROM webhook_deliveries WHERE {_SENT})"),  # noqa: S608  # of this file
    CatalogImportRow: PersonalData("requested_by = :user_id"),
    AuditLogRow: PersonalData(
        "actor_id = :user_id OR resource_id = :user_id"
        " OR resource_type = 'assessment' AND resource_id IN (SELECT id FROM assessments WHERE user_id = :user_id)"
    ),
}
"""Every table that refers to a user through its foreign keys, and the audit trail, which has no foreign keys."""


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
                await audit.record(
                    session,
                    "user.exported",
                    "user",
                    user_id,
                    organization_id=person.organization_id,
                    actor_id=admin.id,
                    actor_role=admin.role,
                )
                await session.commit()

    async def document(self, user_id: UUID) -> AsyncIterator[bytes]:
        """Yield the document table by table; no connection is used between two tables."""
        yield b'{"user_id":' + to_json(user_id)
        for row, data in PERSONAL_DATA.items():
            rows = await self._rows(row, data, user_id)
            yield b"," + to_json(row.__tablename__) + b":" + to_json([_plain(each) for each in rows])
        yield b"}"

    async def _rows(self, row: type[Base], data: PersonalData, user_id: UUID) -> list[Mapping[str, Any]]:
        table = table_of(row)
        columns = [column for column in table.c if column.name not in data.omitted]
        statement = select(*columns).where(text(data.condition)).order_by(*table.primary_key)
        async with self._connection() as connection:
            found = await connection.execute(statement, {"user_id": user_id})
        return [dict(each) for each in found.mappings()]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Decode bytes as text."""
    return {name: value.decode(errors="replace") if isinstance(value, bytes) else value for name, value in row.items()}
