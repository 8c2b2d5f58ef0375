"""Create and revoke API keys."""

from datetime import timedelta
from uuid import UUID

from api.dependencies import Services
from api.schemas.api_keys import ApiKeyRequest
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.api_keys import IssuedApiKey, NewApiKey
from persistence.request_database import RequestUnitOfWork


async def create_key(uow: RequestUnitOfWork, wanted: ApiKeyRequest, scope: AccessScope, admin: Actor) -> IssuedApiKey:
    """Create a key. The caller commits. Nothing but the result contains the key itself.

    Raises:
        Unauthenticated: the admin was disabled or is being erased.
        Conflict: the organization has the maximum number of keys.
    """
    new = NewApiKey(name=wanted.name, scopes=tuple(wanted.scopes), lifetime=timedelta(days=wanted.expires_in_days))
    return await uow.api_keys.create(scope, admin, new)


async def revoke_key(api_key_id: UUID, services: Services, scope: AccessScope, admin: Actor) -> None:
    """Revoke a key. This process rejects it at once, all others within a minute.

    Raises:
        NotFound: the key does not exist, is already revoked, or is outside the scope.
    """
    async with services.database.transaction() as uow:
        await uow.api_keys.revoke(api_key_id, scope, admin)
        await uow.commit()
    services.api_keys.forget()
