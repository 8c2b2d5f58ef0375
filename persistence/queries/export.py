"""Everything that is held about a person, as one JSON document: a list of rows by table."""

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
)
from persistence.tables.base import table_of
from persistence.unit_of_work import sessions

_ASSESSED: Final = "assessment_id IN (SELECT id FROM assessments WHERE user_id = :user_id)"
_RECOMMENDED: Final = f"recommendation_id IN (SELECT id FROM recommendations WHERE {_ASSESSED})"  # noqa: S608  # of this file
_SENT: Final = f"event_id IN (SELECT id FROM webhook_events WHERE {_ASSESSED})"  # noqa: S608  # of this file
_OWN: Final = "user_id = :user_id"


@dataclass(frozen=True, slots=True)
class Held:
    """Which rows of a table are about the person, and which columns are not theirs to have."""

    condition: str
    without: frozenset[str] = frozenset()


HELD: Final[Mapping[type[Base], Held]] = {
    UserRow: Held("id = :user_id", frozenset({"password_hash"})),
    RefreshTokenRow: Held(_OWN, frozenset({"token_hash"})),
    LearnerCredentialRow: Held(_OWN),
    IdempotencyKeyRow: Held(_OWN, frozenset({"request_hash", "hash_key_id"})),
    DeniedRequestsRow: Held(_OWN),
    AssessmentRow: Held(_OWN),
    QuestionSnapshotRow: Held(_ASSESSED, frozenset({"rubric"})),  # it holds the key
    ResponseRow: Held(_ASSESSED),
    AsyncJobRow: Held(_ASSESSED),
    ModelAnswerRow: Held(_ASSESSED),
    RuleScoreRow: Held(_ASSESSED),
    EssayScoreRow: Held(_ASSESSED),
    EssayReviewRow: Held(f"{_ASSESSED} OR reviewer_id = :user_id"),
    ResultRevisionRow: Held(_ASSESSED),
    RecommendationRow: Held(_ASSESSED),
    RecommendationItemRow: Held(_RECOMMENDED),
    RagTraceRow: Held(_RECOMMENDED),
    FeedbackRow: Held(f"{_RECOMMENDED} OR submitted_by = :user_id"),
    MetricSnapshotRow: Held(_ASSESSED),
    WebhookEventRow: Held(_ASSESSED, frozenset({"body"})),  # the payload, as it is sent
    WebhookDeliveryRow: Held(_SENT),
    WebhookAttemptRow: Held(f"delivery_id IN (SELECT id FROM webhook_deliveries WHERE {_SENT})"),  # noqa: S608  # of this file
    CatalogImportRow: Held("requested_by = :user_id"),
    AuditLogRow: Held(
        "actor_id = :user_id OR resource_id = :user_id"
        " OR resource_type = 'assessment' AND resource_id IN (SELECT id FROM assessments WHERE user_id = :user_id)"
    ),
}
"""Every table that leads to a person by its foreign keys, and the audit trail, which has none."""


class Exports(Reader):
    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._sessions = sessions(engine)

    async def begin(self, user_id: UUID, viewer: PeopleScope, admin: Actor) -> None:
        """The audit row of an export, committed before any of it is read.

        Raises:
            NotFound: there is no such person, or they are not the viewer's.
            Erased: they are being erased.
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
        """The document in pieces, a table each; no connection is held between them."""
        yield b'{"user_id":' + to_json(user_id)
        for row, held in HELD.items():
            rows = await self._rows(row, held, user_id)
            yield b"," + to_json(row.__tablename__) + b":" + to_json([_plain(each) for each in rows])
        yield b"}"

    async def _rows(self, row: type[Base], held: Held, user_id: UUID) -> list[Mapping[str, Any]]:
        table = table_of(row)
        columns = [column for column in table.c if column.name not in held.without]
        statement = select(*columns).where(text(held.condition)).order_by(*table.primary_key)
        async with self._connection() as connection:
            found = await connection.execute(statement, {"user_id": user_id})
        return [dict(each) for each in found.mappings()]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes as the text they are."""
    return {name: value.decode(errors="replace") if isinstance(value, bytes) else value for name, value in row.items()}
