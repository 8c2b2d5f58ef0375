"""API keys. An organization's admin creates them for programs."""

from fastapi import Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.api_keys import ApiKey, ApiKeyList, ApiKeyRequest, ApiKeyWithSecret
from api.schemas.base import Id
from api.schemas.errors import answers
from api.security.authorization import actor_of
from api.services.api_keys import create_key, revoke_key
from persistence.request_database import RequestUnitOfWork

api_keys = router(prefix="/api-keys", tags=["API keys"])


@api_keys.post(
    "",
    status_code=201,
    response_model=ApiKeyWithSecret,
    summary="Create an API key",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def create_api_key(body: ApiKeyRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Only this response shows the key. The database stores its hash."""

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        issued = await create_key(uow, body, scope, command.actor)
        return CommandResult(response=ApiKeyWithSecret.read(issued.view, key=issued.key))

    return await command.execute(create)


@api_keys.get("", summary="List API keys", responses=answers(401, 403))
async def list_api_keys(services: ServicesDep, scope: ScopeDep) -> ApiKeyList:
    """List all keys that are not revoked, including expired ones."""
    views = await services.people.api_keys.keys(scope)
    return ApiKeyList(items=[ApiKey.model_validate(view) for view in views])


@api_keys.delete("/{api_key_id}", status_code=204, summary="Revoke an API key", responses=answers(400, 401, 403, 404))
async def revoke_api_key(api_key_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep) -> None:
    """The process that handles this request rejects the key at once, all others within a minute."""
    await revoke_key(api_key_id, services, scope, actor_of(principal))
