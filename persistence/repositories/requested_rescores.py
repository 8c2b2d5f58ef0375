"""The requests of admins about re-scores, each with its audit row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import text

from domain.assessments.questions import QuestionKind
from domain.errors import NotFound
from domain.rescores.rescores import Rescore, RescoreScope
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.repositories.rescores import RESCORE, rescore_of

_ROLE: Final = text("SELECT FROM role_catalog WHERE id = :role_id")
_QUESTION: Final = text("SELECT id, kind FROM questions WHERE key = :key")
_ADD: Final = text("""
INSERT INTO rescores (id, organization_id, requested_by, role_id, question_id, since, versions, reason, scope, status)
VALUES (:id, :organization_id, :requested_by, :role_id, :question_id, :since, :versions, :reason, :scope, 'queued')
""")
_READ: Final = text(RESCORE)
_LOCK: Final = text(f"{RESCORE} AND organization_id = :organization_id FOR UPDATE")
_CHOOSE_ALL: Final = text("""
UPDATE rescore_differences SET status = 'applying'
WHERE rescore_id = :id AND status = 'computed' AND outcome = 'changed'
RETURNING assessment_id
""")
_CHOOSE: Final = text("""
UPDATE rescore_differences SET status = 'applying'
WHERE rescore_id = :id AND status = 'computed' AND outcome = 'changed' AND assessment_id = ANY(:ids)
RETURNING assessment_id
""")
_MOVE: Final = text("UPDATE rescores SET status = :status, updated_at = clock_timestamp() WHERE id = :id")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRescore:
    """A requested re-score, with either `role_id` or `question_id`."""

    organization_id: UUID
    role_id: UUID | None
    question_id: UUID | None
    since: datetime | None
    versions: Sequence[str]
    reason: str
    scope: RescoreScope


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownQuestion:
    id: UUID
    kind: QuestionKind


class RequestedRescores(Repository):
    async def has_role(self, role_id: UUID) -> bool:
        return (await self._session.execute(_ROLE, {"role_id": role_id})).one_or_none() is not None

    async def question(self, key: str) -> KnownQuestion | None:
        row = (await self._session.execute(_QUESTION, {"key": key})).one_or_none()
        return KnownQuestion(id=row.id, kind=QuestionKind(row.kind)) if row else None

    async def add(self, new: NewRescore, admin: Actor) -> Rescore:
        row: dict[str, Any] = {
            "id": uuid4(),
            "organization_id": new.organization_id,
            "requested_by": admin.id,
            "role_id": new.role_id,
            "question_id": new.question_id,
            "since": new.since,
            "versions": list(new.versions),
            "reason": new.reason,
            "scope": new.scope.value,
        }
        await self._session.execute(_ADD, row)
        added = await self._session.execute(_READ, {"id": row["id"]})
        rescore = rescore_of(added.mappings().one())
        await self._record("rescore.requested", rescore, admin, scope=new.scope.value)
        return rescore

    async def lock(self, rescore_id: UUID, organization_id: UUID) -> Rescore:
        """Lock a re-score of the organization. Raise NotFound if it does not exist there."""
        wanted = {"id": rescore_id, "organization_id": organization_id}
        row = (await self._session.execute(_LOCK, wanted)).mappings().one_or_none()
        if row is None:
            raise NotFound("No such re-score")
        return rescore_of(row)

    async def choose(self, rescore: Rescore, ids: Collection[UUID] | None, admin: Actor) -> int:
        """Choose the differences that change something, or those of `ids`, to be applied. Return their number."""
        statement = _CHOOSE_ALL if ids is None else _CHOOSE
        wanted = {"id": rescore.id} | ({} if ids is None else {"ids": list(ids)})
        chosen = len((await self._session.scalars(statement, wanted)).all())
        if chosen:
            await self._session.execute(_MOVE, {"id": rescore.id, "status": "applying"})
            await self._record("rescore.applied", rescore, admin, assessments=chosen)
        return chosen

    async def discard(self, rescore: Rescore, admin: Actor) -> None:
        """Begin to delete the differences. The request itself stays."""
        await self._session.execute(_MOVE, {"id": rescore.id, "status": "discarding"})
        await self._record("rescore.discarded", rescore, admin)

    async def _record(self, action: str, rescore: Rescore, admin: Actor, **details: object) -> None:
        about = (action, "rescore", rescore.id, rescore.organization_id)
        await audit.record(self._session, admin, *about, **details)
