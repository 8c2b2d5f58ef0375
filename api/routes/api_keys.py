"""API keys, which an organization's admin gives to its machines."""

from dataclasses import asdict
from datetime import timedelta

from fastapi import Response

from api.dependencies import Caller, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.api_keys import ApiKey, ApiKeyList, ApiKeyRequest, ApiKeyWithSecret
from api.schemas.base import Id
from api.schemas.errors import answers
from persistence.queries.views import Actor
from persistence.repositories.api_keys import NewApiKey
from persistence.request_database import RequestUnitOfWork

api_keys = router(prefix="/api-keys", tags=["API keys"])


@api_keys.post(
    "",
    status_code=201,
    response_model=ApiKeyWithSecret,
    summary="Create an API key",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def create_api_key(
    wanted: ApiKeyRequest, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """The answer shows the key; only its hash is stored, and it is never shown again."""
    new = NewApiKey(name=wanted.name, scopes=tuple(wanted.scopes), lifetime=timedelta(days=wanted.expires_in_days))

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        issued = await uow.api_keys.create(seen, Actor(id=caller.user_id, role=caller.role), new)
        return CommandResult(answer=ApiKeyWithSecret(**asdict(issued.view), key=issued.key))

    return await once.do(services.database, create)


@api_keys.get("", summary="List API keys", responses=answers(401, 403), response_model_exclude_none=True)
async def list_api_keys(services: ServicesDep, seen: ScopeDep) -> ApiKeyList:
    """Expired keys are listed until they are revoked."""
    views = await services.people.api_keys.keys(seen)
    return ApiKeyList(items=[ApiKey.model_validate(view) for view in views])


@api_keys.delete("/{api_key_id}", status_code=204, summary="Revoke an API key", responses=answers(400, 401, 403, 404))
async def revoke_api_key(api_key_id: Id, services: ServicesDep, caller: Caller, seen: ScopeDep) -> None:
    """Refused at once by the process that answers this, within a minute by every other one."""
    async with services.database.transaction() as uow:
        await uow.api_keys.revoke(api_key_id, seen, Actor(id=caller.user_id, role=caller.role))
        await uow.commit()
    services.api_keys.forget()
