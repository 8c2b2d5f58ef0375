"""Erase a user: delete what they wrote and what was written about them. Ids, codes and anonymous sums stay.

An erasure first commits `users.status = 'erasing'`. From then on every write about the user is refused (`Erased`). Data
is deleted only after that, so that no concurrent write can add it again. Every statement is idempotent.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from domain.errors import Erased, NotFound
from domain.privacy import Erasure
from domain.webhooks.deliveries import Delivery
from persistence.queries.people_views import PeopleScope
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.repositories.people import keep_an_admin, locked_person
from persistence.repositories.refresh_tokens import revoke_all

_FIRST: Final = UUID(int=0)

_PERSON: Final = text("SELECT id, organization_id FROM users WHERE id = :user_id")
_MARK: Final = text("""
UPDATE users SET status = 'erasing', token_version = token_version + 1, updated_at = clock_timestamp()
WHERE id = :user_id AND status NOT IN ('erasing', 'erased')
RETURNING organization_id
""")
_BEGUN: Final = text("SELECT FROM users WHERE id = :user_id AND status IN ('erasing', 'erased')")
_UNFINISHED: Final = text(
    "SELECT id, organization_id FROM users WHERE status = 'erasing' AND id > :after ORDER BY id LIMIT :limit"
)
_ASSESSMENTS: Final = text(
    "SELECT id FROM assessments WHERE user_id = :user_id AND id > :after ORDER BY id LIMIT :limit"
)
_PENDING: Final = text("""
SELECT delivery.id, delivery.organization_id, delivery.event_id, delivery.endpoint_id, delivery.n
FROM webhook_deliveries AS delivery JOIN webhook_events AS event ON event.id = delivery.event_id
WHERE event.assessment_id = ANY(:ids) AND delivery.status = 'pending'
""")

_APPEALS: Final = text("SELECT id FROM appeals WHERE assessment_id = ANY(:ids)")

# Ends open assessments and stops healing, with the audit row of each transition.
_END: Final = text("""
WITH ended AS (
  UPDATE assessments SET
    status = CASE WHEN status = 'completed' THEN status ELSE 'failed' END,
    failure_reason = CASE WHEN status = 'completed' THEN failure_reason ELSE 'erased' END,
    healing = CASE WHEN healing = 'due' THEN 'stopped' ELSE healing END,
    updated_at = clock_timestamp()
  WHERE id = ANY(:ids) AND (status IN ('in_progress', 'awaiting_async') OR healing = 'due')
  RETURNING id, organization_id, status, run, revision
)
INSERT INTO audit_logs (id, organization_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
SELECT gen_random_uuid(), organization_id, 'system',
  CASE WHEN status = 'completed' THEN 'assessment.healing_stopped' ELSE 'assessment.failed' END,
  'assessment', id, :correlation_id, jsonb_build_object('run', run, 'revision', revision, 'reason', 'erased')
FROM ended
""")
_CANCEL: Final = text("""
WITH cancelled AS (
  UPDATE webhook_deliveries AS delivery
  SET status = 'cancelled', next_attempt_at = NULL, turn_at = NULL, completed_at = clock_timestamp()
  FROM webhook_events AS event
  WHERE event.id = delivery.event_id AND event.assessment_id = ANY(:ids) AND delivery.status = 'pending'
  RETURNING delivery.id, delivery.organization_id, delivery.attempts
)
INSERT INTO audit_logs (id, organization_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
SELECT gen_random_uuid(), organization_id, 'system', 'webhook_delivery.cancelled', 'webhook_delivery', id,
  :correlation_id, jsonb_build_object('reason', 'erased', 'attempts', attempts)
FROM cancelled
""")

# Replaces stored responses to other users, for example to admins, advisors, platform admins and API keys.
_REPLACED: Final = """UPDATE idempotency_keys SET response_status = 410, named_ids = '{}',
  response_body = convert_to('{"error_code":"ERASED_410","message":"The person is erased"}', 'UTF8')
"""

# An erased result leaves the list of held results. Rows of paid model replies stay without their content. Items, traces
# and feedback are deleted with the recommendation. Questions stay as they were asked, and metrics stay as numbers.
_FORGET: Final = tuple(
    map(
        text,
        (
            """UPDATE assessments SET metadata = NULL, released_revision = NULL, needs_review = false
WHERE id = ANY(:ids) AND (metadata IS NOT NULL OR released_revision IS NOT NULL OR needs_review)""",
            """UPDATE async_jobs SET payload = NULL,
  status = CASE WHEN status IN ('queued', 'running') THEN 'stale' ELSE status END,
  completed_at = coalesce(completed_at, clock_timestamp())
WHERE assessment_id = ANY(:ids)""",
            "DELETE FROM assessment_responses WHERE assessment_id = ANY(:ids)",
            """DELETE FROM answer_shingles WHERE question_snapshot_id IN (
  SELECT id FROM assessment_question_snapshots WHERE assessment_id = ANY(:ids))""",
            """DELETE FROM flagged_questions WHERE question_snapshot_id IN (
  SELECT id FROM assessment_question_snapshots WHERE assessment_id = ANY(:ids))""",
            "UPDATE model_answers SET raw_reply = NULL, request_id = NULL WHERE assessment_id = ANY(:ids)",
            "DELETE FROM rule_scores WHERE assessment_id = ANY(:ids)",
            "DELETE FROM essay_scores WHERE assessment_id = ANY(:ids)",
            f"""{_REPLACED}WHERE named_ids && ARRAY(SELECT id FROM appeals WHERE assessment_id = ANY(:ids))""",  # noqa: S608  # of this file
            "DELETE FROM appeals WHERE assessment_id = ANY(:ids)",
            "DELETE FROM rescore_differences WHERE assessment_id = ANY(:ids)",
            "DELETE FROM essay_reviews WHERE assessment_id = ANY(:ids)",
            "DELETE FROM review_items WHERE assessment_id = ANY(:ids)",
            "DELETE FROM result_revisions WHERE assessment_id = ANY(:ids)",
            "DELETE FROM recommendations WHERE assessment_id = ANY(:ids)",
            """UPDATE webhook_attempts SET response_excerpt = NULL WHERE delivery_id IN (
  SELECT delivery.id FROM webhook_deliveries AS delivery JOIN webhook_events AS event ON event.id = delivery.event_id
  WHERE event.assessment_id = ANY(:ids))""",
            "UPDATE webhook_events SET payload = '{}', body = '' WHERE assessment_id = ANY(:ids)",
        ),
    )
)

# An advisor's reviews and answers to appeals belong to the learner's result and are deleted with the learner.
# Comments are deleted with their author. Responses stored for replays to other users, for example to the creator of the
# account, may name the user: always by id. Rows of releases that did not store the ids are searched.
_FORGET_ACCOUNT: Final = tuple(
    map(
        text,
        (
            "UPDATE recommendation_feedback SET comments = NULL WHERE submitted_by = :user_id",
            "DELETE FROM refresh_tokens WHERE user_id = :user_id",
            "DELETE FROM web_sessions WHERE user_id = :user_id",
            "DELETE FROM account_links WHERE user_id = :user_id",
            "DELETE FROM learner_credentials WHERE user_id = :user_id",
            "DELETE FROM cohort_members WHERE user_id = :user_id",
            "DELETE FROM denied_requests WHERE user_id = :user_id",
            "UPDATE review_items SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = :user_id",
            "DELETE FROM idempotency_keys WHERE user_id = :user_id",
            f"{_REPLACED}WHERE named_ids @> ARRAY[CAST(:user_id AS uuid)]",
            f"""{_REPLACED}WHERE named_ids IS NULL AND (
  position(convert_to(CAST(:user_id AS text), 'UTF8') IN response_body) > 0
  OR position(convert_to((SELECT CAST(email AS text) FROM users WHERE id = :user_id), 'UTF8') IN response_body) > 0)""",  # noqa: S608  # of this file
            """UPDATE users SET email = id || '@erased.invalid', name = NULL, external_id = NULL, password_hash = NULL,
  profile = NULL, language = NULL, last_sign_in_at = NULL, time_factor = 1, extra_minutes = 0,
  updated_at = clock_timestamp()
WHERE id = :user_id AND status = 'erasing'""",
        ),
    )
)

_FINISH: Final = text("""
UPDATE users SET status = 'erased', updated_at = clock_timestamp() WHERE id = :user_id AND status = 'erasing'
RETURNING organization_id
""")


class SqlErasures(Repository):
    async def begin(
        self,
        user_id: UUID,
        *,
        organization_id: UUID | None,
        role: str | None = None,
        actor_id: UUID,
        actor_role: str,
    ) -> Erasure:
        found = PeopleScope(organization_id=organization_id, role=role)
        try:
            person = await locked_person(self._session, user_id, found)
        except Erased:  # the erasure was requested earlier
            return Erasure(**(await self._session.execute(_PERSON, {"user_id": user_id})).mappings().one())
        await keep_an_admin(self._session, person)
        await self.mark(user_id, Actor(id=actor_id, role=actor_role))
        await revoke_all(self._session, user_id)
        return Erasure(id=user_id, organization_id=person.organization_id)

    async def mark(self, user_id: UUID, actor: Actor | None = None) -> bool:
        """Mark the user: after the commit, every write about them is refused. Return False if already marked."""
        row = (await self._session.execute(_MARK, {"user_id": user_id})).one_or_none()
        if row is not None:
            await audit.record(self._session, actor, "user.erasing", "user", user_id, row.organization_id)
        return row is not None

    async def confirm(self, user_id: UUID) -> None:
        if (await self._session.execute(_BEGUN, {"user_id": user_id})).one_or_none() is None:
            raise NotFound(f"No erasure of user {user_id} was requested")

    async def unfinished(self, *, after: UUID | None, limit: int) -> tuple[Erasure, ...]:
        rows = await self._session.execute(_UNFINISHED, {"after": after or _FIRST, "limit": limit})
        return tuple(Erasure(**row) for row in rows.mappings())

    async def assessments(self, user_id: UUID, *, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        page = {"user_id": user_id, "after": after or _FIRST, "limit": limit}
        return tuple(await self._session.scalars(_ASSESSMENTS, page))

    async def pending_deliveries(self, assessment_ids: Sequence[UUID]) -> tuple[Delivery, ...]:
        rows = await self._session.execute(_PENDING, {"ids": list(assessment_ids)})
        return tuple(Delivery(**row) for row in rows.mappings())

    async def appeals(self, assessment_ids: Sequence[UUID]) -> tuple[UUID, ...]:
        return tuple(await self._session.scalars(_APPEALS, {"ids": list(assessment_ids)}))

    async def forget_assessments(self, assessment_ids: Sequence[UUID]) -> None:
        these: dict[str, Any] = {"ids": list(assessment_ids)}
        for statement in (_END, _CANCEL):
            await self._session.execute(statement, these | {"correlation_id": audit.correlation_id()})
        for statement in _FORGET:
            await self._session.execute(statement, these)

    async def forget_account(self, user_id: UUID) -> None:
        for statement in _FORGET_ACCOUNT:
            await self._session.execute(statement, {"user_id": user_id})

    async def finish(self, user_id: UUID) -> None:
        row = (await self._session.execute(_FINISH, {"user_id": user_id})).one_or_none()
        if row is not None:
            await audit.record(self._session, None, "user.erased", "user", user_id, row.organization_id)
