"""The settings of the caller's organization."""

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.middleware.routing import router
from api.schemas.errors import answers
from api.schemas.organization_settings import OrganizationSettings, OrganizationSettingsChange
from api.security.authorization import actor_of
from api.services import organization_settings as use_cases

organization_settings = router(prefix="/organization/settings", tags=["Organizations"])


@organization_settings.get("", summary="Read your organization's settings", responses=answers(401, 403))
async def read_settings(services: ServicesDep, scope: ScopeDep) -> OrganizationSettings:
    settings = await use_cases.read_settings(scope.organization_id, services.database)
    return OrganizationSettings.model_validate(settings)


@organization_settings.patch(
    "", summary="Change your organization's settings", responses=answers(400, 401, 403, 413, 415)
)
async def change_settings(
    change: OrganizationSettingsChange, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> OrganizationSettings:
    """The audit trail keeps the old and the new values."""
    admin = actor_of(principal)
    settings = await use_cases.change_settings(scope.organization_id, change, admin, services.database)
    return OrganizationSettings.model_validate(settings)
