"""Read and change the settings of organizations."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select, update

from domain.errors import NotFound
from domain.organizations import OrganizationSettings
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.repositories.documents import decode, encode
from persistence.tables import AssessmentRow, OrganizationRow
from persistence.tables.base import table_of

_organizations: Final = table_of(OrganizationRow)

_SETTINGS: Final = select(_organizations.c.settings).where(_organizations.c.id == bindparam("organization_id"))
_OF_ASSESSMENT: Final = (
    select(_organizations.c.id, _organizations.c.settings)
    .join(AssessmentRow, AssessmentRow.organization_id == _organizations.c.id)
    .where(AssessmentRow.id == bindparam("assessment_id"))
)


class SqlOrganizations(Repository):
    """Read and write settings in the caller's transaction.

    Raises:
        NotFound: the organization, or the assessment, does not exist.
    """

    async def settings(self, organization_id: UUID) -> OrganizationSettings:
        stored = await self._session.scalar(_SETTINGS, {"organization_id": organization_id})
        return _decoded(stored)

    async def of_assessment(self, assessment_id: UUID) -> tuple[UUID, OrganizationSettings]:
        row = (await self._session.execute(_OF_ASSESSMENT, {"assessment_id": assessment_id})).one_or_none()
        if row is None:
            raise NotFound(f"Assessment {assessment_id} does not exist")
        return row.id, _decoded(row.settings)

    async def change_settings(
        self, organization_id: UUID, actor: Actor, changes: Mapping[str, Any]
    ) -> OrganizationSettings:
        """Change the given settings and write an audit row with the old and the new values."""
        locked = _SETTINGS.with_for_update(key_share=True)
        before = _decoded(await self._session.scalar(locked, {"organization_id": organization_id}))
        after = replace(before, **changes)
        old, new = encode(before), encode(after)
        changed = [name for name in new if new[name] != old[name]]
        if not changed:
            return before
        await self._session.execute(
            update(_organizations).where(_organizations.c.id == organization_id).values(settings=new)
        )
        about = ("organization.settings_changed", "organization", organization_id, organization_id)
        details = {name: {"from": old[name], "to": new[name]} for name in changed}
        await audit.record(self._session, actor, *about, **details)
        return after


def _decoded(stored: Mapping[str, Any] | None) -> OrganizationSettings:
    if stored is None:
        raise NotFound("No such organization")
    return decode(OrganizationSettings, stored)
