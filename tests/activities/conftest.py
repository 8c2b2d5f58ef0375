"""A submitted assessment, in a transaction that is rolled back."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.lifecycle import Assessment
from tests.activities.builders import submitted


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await submitted(session)
