"""The settings of the caller's organization."""

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.middleware.routing import router
from api.schemas.errors import answers
from api.schemas.organization_settings import OrganizationSettings, OrganizationSettingsChange
from api.security.authorization import actor_of

organization_settings = router(prefix="/organization/settings", tags=["Organizations"])


@organization_settings.get("", summary="Read your organization's settings", responses=answers(401, 403))
async def read_settings(services: ServicesDep, scope: ScopeDep) -> OrganizationSettings:
    async with services.database.transaction() as uow:
        settings = await uow.organizations.settings(scope.organization_id)
    return OrganizationSettings.model_validate(settings)


@organization_settings.patch(
    "", summary="Change your organization's settings", responses=answers(400, 401, 403, 413, 415)
)
async def change_settings(
    change: OrganizationSettingsChange, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> OrganizationSettings:
    """The audit trail keeps the old and the new values."""
    changes = change.model_dump(exclude_unset=True)
    async with services.database.transaction() as uow:
        settings = await uow.organizations.change_settings(scope.organization_id, actor_of(principal), changes)
        await uow.commit()
    return OrganizationSettings.model_validate(settings)
