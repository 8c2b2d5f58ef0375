"""Read and change the settings of an organization."""

from uuid import UUID

from api.schemas.organization_settings import OrganizationSettingsChange
from domain.organizations import OrganizationSettings
from persistence.queries.views import Actor
from persistence.request_database import RequestDatabase


async def read_settings(organization_id: UUID, database: RequestDatabase) -> OrganizationSettings:
    async with database.transaction() as uow:
        return await uow.organizations.settings(organization_id)


async def change_settings(
    organization_id: UUID, change: OrganizationSettingsChange, admin: Actor, database: RequestDatabase
) -> OrganizationSettings:
    """Change the fields that are set. The audit trail keeps the old and the new values."""
    async with database.transaction() as uow:
        changes = change.model_dump(exclude_unset=True)
        settings = await uow.organizations.change_settings(organization_id, admin, changes)
        await uow.commit()
    return settings
