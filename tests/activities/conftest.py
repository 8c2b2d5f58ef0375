"""A submitted assessment, in a transaction that is rolled back."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.assessments import Assessment
from persistence.engine import create_engine
from tests.activities.builders import submitted
from tests.databases import settings_of


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await submitted(session)


@pytest.fixture
async def clean_engine(clean_database: str) -> AsyncIterator[AsyncEngine]:
    """For what needs two connections."""
    engine = create_engine(settings_of(clean_database))
    yield engine
    await engine.dispose()
