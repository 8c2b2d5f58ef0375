"""A submitted assessment and its first essay, in a transaction that is rolled back."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from activities.score_essay import EssayInput
from domain.assessments.lifecycle import Assessment
from domain.database import Database
from tests.activities.builders import essays_of, run_of, submitted


@pytest.fixture
async def assessment(session: AsyncSession) -> Assessment:
    return await submitted(session)


@pytest.fixture
async def wanted(database: Database, assessment: Assessment) -> EssayInput:
    return EssayInput(run=run_of(assessment), essay=(await essays_of(database, assessment))[0])
