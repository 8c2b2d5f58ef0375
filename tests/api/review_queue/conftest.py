"""An organization with an empty review queue, and two of its advisors."""

from uuid import UUID, uuid4

import pytest

from tests.api.conftest import Api, Person
from tests.api.review_queue.queue_requests import set_settings
from tests.support.builders import an_organization


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization of the test's own, so that its queue has the test's essays only; without audit samples."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    await set_settings(api, organization_id, audit_share=0.0)
    return organization_id


@pytest.fixture
async def advisor(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization)


@pytest.fixture
async def colleague(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization, email=f"colleague-{uuid4()}@example.org")
