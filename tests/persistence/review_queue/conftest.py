"""An assessment with two essays, in an organization without audit samples."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.persistence.review_queue.course import Course, a_course


@pytest.fixture
async def course(session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]) -> Course:
    return await a_course(session, session_factory)
