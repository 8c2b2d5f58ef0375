"""Changes of webhook endpoints by admins, each with its audit row."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Insert, Update, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, NotFound
from persistence.encryption import SecretCipher
from persistence.queries.views import AccessScope, Actor
from persistence.queries.webhook_views import EndpointView
from persistence.queries.webhooks import ENDPOINT_COLUMNS, endpoints_of
from persistence.repositories import audit
from persistence.tables import OrganizationRow, WebhookEndpointRow
from persistence.tables.base import table_of

MAX_ENDPOINTS: Final = 100
"""Maximum per organization: an event creates one delivery for each subscribed endpoint."""
SECRET_BYTES: Final = 32
BOTH_SIGN_FOR: Final = timedelta(hours=24)

_endpoints: Final = table_of(WebhookEndpointRow)

_CANCEL: Final = text("""
WITH cancelled AS (
  UPDATE webhook_deliveries
  SET status = 'cancelled', next_attempt_at = NULL, turn_at = NULL, completed_at = clock_timestamp()
  WHERE endpoint_id = :endpoint_id AND organization_id = :organization_id AND status = 'pending'
  RETURNING id, organization_id, attempts
)
INSERT INTO audit_logs (
  id, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
SELECT gen_random_uuid(), organization_id, :actor_id, :actor_role, 'webhook_delivery.cancelled', 'webhook_delivery', id,
  :correlation_id, jsonb_build_object('reason', 'endpoint_deleted', 'attempts', attempts)
FROM cancelled
RETURNING id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    url: str
    event_types: tuple[str, ...]
    enabled: bool
    rate_limit_per_minute: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """An endpoint with its new secret, which cannot be read again."""

    endpoint: EndpointView
    secret: str = field(repr=False)


class Endpoints:
    """Write endpoints in the caller's transaction. Every change locks the endpoint.

    Raises:
        NotFound: the endpoint does not exist, is deleted, or is outside the viewer's scope.
    """

    def __init__(self, session: AsyncSession, cipher: SecretCipher) -> None:
        self._session = session
        self._cipher = cipher

    async def create(self, viewer: AccessScope, admin: Actor, wanted: NewEndpoint) -> Issued:
        """Create an endpoint of the viewer's organization.

        Raises:
            Conflict: the organization has the maximum number of endpoints.
        """
        await self._check_limit(viewer.organization_id)
        secret = _new_secret()
        created = insert(_endpoints).values(
            id=uuid4(),
            organization_id=viewer.organization_id,
            url=wanted.url,
            event_types=list(wanted.event_types),
            secret=self._cipher.encrypt(secret),
            enabled=wanted.enabled,
            rate_limit_per_minute=wanted.rate_limit_per_minute,
        )
        view = await self._view(created.returning(*ENDPOINT_COLUMNS))
        await note(self._session, "created", view.endpoint_id, viewer, admin, event_types=view.event_types)
        return Issued(endpoint=view, secret=secret)

    async def change(
        self, endpoint_id: UUID, viewer: AccessScope, admin: Actor, wanted: Mapping[str, object]
    ) -> EndpointView:
        """Change columns of an EndpointView. Enabling it or changing its URL resets `failing_since`."""
        before = await locked_endpoint(self._session, endpoint_id, viewer)
        changes: dict[str, Any] = {name: value for name, value in wanted.items() if getattr(before, name) != value}
        if not changes:
            return before
        fresh = "url" in changes or changes.get("enabled")
        view = await self._update(endpoint_id, **changes, **({"failing_since": None} if fresh else {}))
        action = {True: "enabled", False: "disabled", None: "changed"}[changes.get("enabled")]
        await note(self._session, action, endpoint_id, viewer, admin, fields=sorted(changes))
        return view

    async def rotate(self, endpoint_id: UUID, viewer: AccessScope, admin: Actor) -> Issued:
        """Create a new secret. The current one also signs for 24 h; an even older one stops signing at once."""
        await locked_endpoint(self._session, endpoint_id, viewer)
        secret = _new_secret()
        view = await self._update(
            endpoint_id,
            secret=self._cipher.encrypt(secret),
            previous_secret=_endpoints.c.secret,
            previous_secret_until=func.clock_timestamp() + literal(BOTH_SIGN_FOR),
        )
        await note(self._session, "secret_rotated", endpoint_id, viewer, admin)
        return Issued(endpoint=view, secret=secret)

    async def delete(self, endpoint_id: UUID, viewer: AccessScope, admin: Actor) -> None:
        """Mark the endpoint as deleted, remove its secrets and cancel its pending deliveries.

        The row stays for the delivery log. Deliveries are locked before the endpoint: recording an attempt locks in the
        same order.
        """
        cancelled = await self._cancel_pending(endpoint_id, viewer, admin)
        await locked_endpoint(self._session, endpoint_id, viewer)
        await self._update(
            endpoint_id,
            enabled=False,
            secret=b"",
            previous_secret=None,
            previous_secret_until=None,
            deleted_at=func.clock_timestamp(),
        )
        await note(self._session, "deleted", endpoint_id, viewer, admin, cancelled=cancelled)

    async def _check_limit(self, organization_id: UUID) -> None:
        """Lock the organization, so that two concurrent requests cannot exceed the maximum."""
        await self._session.execute(
            select(OrganizationRow.id).where(OrganizationRow.id == organization_id).with_for_update(key_share=True)
        )
        taken = select(func.count()).where(
            _endpoints.c.organization_id == organization_id, _endpoints.c.deleted_at.is_(None)
        )
        if (await self._session.scalar(taken) or 0) >= MAX_ENDPOINTS:
            raise Conflict(
                f"An organization has at most {MAX_ENDPOINTS} webhook endpoints. Delete one that is no longer used"
            )

    async def _update(self, endpoint_id: UUID, **columns: object) -> EndpointView:
        changed = update(_endpoints).where(_endpoints.c.id == endpoint_id)
        return await self._view(
            changed.values(**columns, updated_at=func.clock_timestamp()).returning(*ENDPOINT_COLUMNS)
        )

    async def _cancel_pending(self, endpoint_id: UUID, viewer: AccessScope, admin: Actor) -> int:
        """Cancel the pending deliveries and return their number. Their workflows end when they wake up."""
        cancelled = await self._session.scalars(
            _CANCEL,
            {
                "endpoint_id": endpoint_id,
                "organization_id": viewer.organization_id,
                "actor_id": admin.id,
                "actor_role": admin.role,
                "correlation_id": audit.correlation_id(),
            },
        )
        return len(cancelled.all())

    async def _view(self, statement: Insert | Update) -> EndpointView:
        return EndpointView(**(await self._session.execute(statement)).mappings().one())


async def locked_endpoint(session: AsyncSession, endpoint_id: UUID, viewer: AccessScope) -> EndpointView:
    """Lock the endpoint against changes and redeliveries until the transaction ends.

    Raises:
        NotFound: the endpoint does not exist, is deleted, or is outside the viewer's scope.
    """
    wanted = endpoints_of(viewer).where(_endpoints.c.id == endpoint_id).with_for_update(key_share=True)
    row = (await session.execute(wanted)).mappings().one_or_none()
    if row is None:
        raise NotFound("No such endpoint")
    return EndpointView(**row)


async def note(
    session: AsyncSession, action: str, endpoint_id: UUID, viewer: AccessScope, admin: Actor, **details: object
) -> None:
    """Write the audit row of an action. It never includes the URL, which may contain a secret."""
    about = (f"webhook_endpoint.{action}", "webhook_endpoint", endpoint_id, viewer.organization_id)
    await audit.record(session, admin, *about, **details)


def _new_secret() -> str:
    """Return a secret in the format of Standard Webhooks: `whsec_` and the key in base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
