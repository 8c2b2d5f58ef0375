"""An organization whose confident grades are all audit samples, with an advisor and a student."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from persistence.tables import OrganizationRow
from tests.api.conftest import Api, Person


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization without other assessments. All of its confident grades are in the audit sample."""
    organization_id = uuid4()
    async with api.sessions() as session:
        row = {"id": organization_id, "name": "College", "settings": {"audit_share": 1.0}}
        await session.execute(insert(OrganizationRow).values(row))
        await session.commit()
    return organization_id


@pytest.fixture
async def advisor(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization)


@pytest.fixture
async def student(api: Api, organization: UUID) -> Person:
    return await api.person(of=organization)
