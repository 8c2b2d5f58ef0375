"""What was answered to a request with an idempotency key, in the transaction of its effect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Erased, KeyReused, RequestInProgress

KEPT_FOR: Final = timedelta(hours=24)

_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:scope, 0))")

# A statement of its own: the one that takes the lock does not see what its holder committed last.
_FIND: Final = text("""
SELECT request_hash, hash_key_id, response_status, response_body FROM idempotency_keys
WHERE organization_id IS NOT DISTINCT FROM CAST(:organization_id AS uuid) AND user_id = :user_id
  AND method = :method AND route = :route AND key = :key AND expires_at > clock_timestamp()
""")

# The person's row is locked in share mode: an erasure either is seen here, or waits and then finds this row.
_KEEP: Final = text("""
WITH person AS (
  SELECT id FROM users WHERE id = :user_id AND status NOT IN ('erasing', 'erased') FOR SHARE
), caller AS (
  SELECT id FROM person UNION ALL SELECT id FROM api_keys WHERE id = :user_id
)
INSERT INTO idempotency_keys (
  id, organization_id, user_id, method, route, key, request_hash, hash_key_id, response_status, response_body,
  expires_at)
SELECT gen_random_uuid(), CAST(:organization_id AS uuid), id, :method, :route, :key, :request_hash, :hash_key_id,
  :status, :body, clock_timestamp() + :kept_for
FROM caller
ON CONFLICT ON CONSTRAINT idempotency_keys_key DO UPDATE
SET request_hash = excluded.request_hash, hash_key_id = excluded.hash_key_id,
  response_status = excluded.response_status, response_body = excluded.response_body,
  created_at = clock_timestamp(), expires_at = excluded.expires_at
RETURNING id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request with an idempotency key. Everything but the hashes is the key's scope. `route` is the path called.

    `organization_id` is None for a platform admin; `user_id` is the id of a person or of an API key.
    `request_hashes` has the body's hash under each key of the installation by the key's id, the current key first.
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

        A hash whose key is gone cannot be compared and counts as this body's: the same user sends the same idempotency
        key to the same route again, and a stored answer has no effect. `key_id` is None for earlier releases.
        """
        if key_id is None:
            return stored in self.request_hashes.values()
        return self.request_hashes.get(key_id, stored) == stored


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """An answer as it was given, without the secrets that are shown once."""

    status: int
    body: bytes = field(repr=False)


class IdempotencyKeys:
    """Works in the transaction of the effect: its commit keeps both, its end frees the key for the next request."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, request: KeyedRequest) -> StoredResponse | None:
        """What was answered before; None where the effect is this transaction's to make.

        Raises:
            RequestInProgress: another transaction holds the key.
            KeyReused: it was given to another request in the last 24 hours.
        """
        scope = "/".join(["idempotency", *map(str, request.scope.values())])
        if not await self._session.scalar(_LOCK, {"scope": scope}):
            raise RequestInProgress("A request with this idempotency key is being worked on")
        row = (await self._session.execute(_FIND, request.scope)).one_or_none()
        if row is None:
            return None
        if not request.has_hash(row.request_hash, row.hash_key_id):
            raise KeyReused("This idempotency key was sent with another body")
        return StoredResponse(status=row.response_status, body=bytes(row.response_body))

    async def keep(self, request: KeyedRequest, answer: StoredResponse) -> None:
        """Replaces what an expired key of the same scope has left.

        Raises:
            Erased: the caller is being erased.
        """
        key_id, request_hash = next(iter(request.request_hashes.items()))
        values = {"request_hash": request_hash, "hash_key_id": key_id, "status": answer.status, "body": answer.body}
        kept = await self._session.scalar(_KEEP, request.scope | values | {"kept_for": KEPT_FOR})
        if kept is None:
            raise Erased("The account is being erased")
