"""Store responses of requests with an idempotency key, in the transaction of their effect."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from domain.errors import Erased, KeyReused, RequestInProgress
from persistence.repositories.base import Repository

KEPT_FOR: Final = timedelta(hours=24)
_ID: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:scope, 0))")

# A separate statement: the statement that takes the lock does not see what the previous holder committed.
_FIND: Final = text("""
SELECT request_hash, hash_key_id, response_status, response_body FROM idempotency_keys
WHERE organization_id IS NOT DISTINCT FROM CAST(:organization_id AS uuid) AND user_id = :user_id
  AND method = :method AND route = :route AND key = :key AND expires_at > clock_timestamp()
""")

# The user's row is locked in share mode: an erasure is either visible here, or waits and then deletes this row.
# Responses to students are only about themselves. They are deleted with the student, so their ids are not indexed.
_KEEP: Final = text("""
WITH person AS (
  SELECT id, role = 'student' AS is_student FROM users
  WHERE id = :user_id AND status NOT IN ('erasing', 'erased') FOR SHARE
), caller AS (
  SELECT id, is_student FROM person UNION ALL SELECT id, false FROM api_keys WHERE id = :user_id
)
INSERT INTO idempotency_keys (
  id, organization_id, user_id, method, route, key, request_hash, hash_key_id, response_status, response_body,
  named_ids, expires_at)
SELECT gen_random_uuid(), CAST(:organization_id AS uuid), id, :method, :route, :key, :request_hash, :hash_key_id,
  :status, :body, CASE WHEN is_student THEN '{}' ELSE CAST(:named_ids AS uuid[]) END, clock_timestamp() + :kept_for
FROM caller
ON CONFLICT ON CONSTRAINT idempotency_keys_key DO UPDATE
SET request_hash = excluded.request_hash, hash_key_id = excluded.hash_key_id,
  response_status = excluded.response_status, response_body = excluded.response_body,
  named_ids = excluded.named_ids,
  created_at = clock_timestamp(), expires_at = excluded.expires_at
RETURNING id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request with an idempotency key. All fields except the hashes form the key's scope; `route` is the path.

    A platform admin has no `organization_id`. `user_id` is the id of a user or of an API key. `request_hashes`
    maps the id of each hash key of the installation to the body's hash with that key, the current key first.
    """

    organization_id: UUID | None
    user_id: UUID
    method: str
    route: str
    key: str
    request_hashes: Mapping[str, str]

    @property
    def scope(self) -> dict[str, Any]:
        return {
            "organization_id": self.organization_id,
            "user_id": self.user_id,
            "method": self.method,
            "route": self.route,
            "key": self.key,
        }

    def has_hash(self, stored: str, key_id: str | None) -> bool:
        """Whether the stored hash is that of this request's body.

        If the hash key was removed, the hashes cannot be compared and the body counts as equal: the same user sends the
        same idempotency key to the same route, and replaying a stored response has no effect. Rows of earlier releases
        have no `key_id`.
        """
        if key_id is None:
            return stored in self.request_hashes.values()
        return self.request_hashes.get(key_id, stored) == stored


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """A response without the secrets that are shown only once."""

    status: int
    body: bytes = field(repr=False)


class IdempotencyKeys(Repository):
    """Claim keys and store responses in the caller's transaction. The end of that transaction releases the key."""

    async def claim(self, request: KeyedRequest) -> StoredResponse | None:
        """Lock the key. Return the stored response; None when this transaction must perform the request.

        Raises:
            RequestInProgress: another transaction has locked the key.
            KeyReused: the key was used with another body in the last 24 hours.
        """
        scope = "/".join(["idempotency", *map(str, request.scope.values())])
        if not await self._session.scalar(_LOCK, {"scope": scope}):
            raise RequestInProgress("A request with this idempotency key is still in progress. Try again later")
        row = (await self._session.execute(_FIND, request.scope)).one_or_none()
        if row is None:
            return None
        if not request.has_hash(row.request_hash, row.hash_key_id):
            raise KeyReused("This idempotency key was sent with another body")
        return StoredResponse(status=row.response_status, body=bytes(row.response_body))

    async def store(self, request: KeyedRequest, answer: StoredResponse) -> None:
        """Store the response; replace an expired one of the same scope.

        Raises:
            Erased: the user is being erased.
        """
        key_id, request_hash = next(iter(request.request_hashes.items()))
        values = {
            "request_hash": request_hash,
            "hash_key_id": key_id,
            "status": answer.status,
            "body": answer.body,
            "named_ids": sorted({found.decode() for found in _ID.findall(answer.body)}),
            "kept_for": KEPT_FOR,
        }
        kept = await self._session.scalar(_KEEP, request.scope | values)
        if kept is None:
            raise Erased("The account is being erased")
