"""An admin, and an organization without other users."""

from uuid import UUID

import pytest

from tests.api.conftest import Api, Person
from tests.support.builders import an_organization


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.person("admin")


@pytest.fixture
async def elsewhere(api: Api) -> UUID:
    """An organization that only this test uses."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    return organization_id
