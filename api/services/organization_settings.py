"""Read and change the settings of an organization."""

from typing import Final
from uuid import UUID

from api.schemas.organization_settings import OrganizationSettingsChange
from domain.errors import InvalidInput, Problem
from domain.organizations import OrganizationSettings
from persistence.queries.views import Actor
from persistence.request_database import RequestDatabase

_APPEAL_DAYS: Final = frozenset({"appeal_reminder_days", "appeal_overdue_days"})


async def read_settings(organization_id: UUID, database: RequestDatabase) -> OrganizationSettings:
    async with database.transaction() as uow:
        return await uow.organizations.settings(organization_id)


async def change_settings(
    organization_id: UUID, change: OrganizationSettingsChange, admin: Actor, database: RequestDatabase
) -> OrganizationSettings:
    """Change the fields that are set. The audit trail keeps the old and the new values.

    Raises:
        InvalidInput: an appeal would be overdue before its reminder. Its run does so only after the reminder.
    """
    async with database.transaction() as uow:
        changes = change.model_dump(exclude_unset=True)
        settings = await uow.organizations.change_settings(organization_id, admin, changes)
        if not _APPEAL_DAYS.isdisjoint(changes) and settings.appeal_reminder_days > settings.appeal_overdue_days:
            problem = Problem("appeal_reminder_days", "must not be more than the days until an appeal is overdue")
            raise InvalidInput("The request is not valid", (problem,))
        await uow.commit()
    return settings
