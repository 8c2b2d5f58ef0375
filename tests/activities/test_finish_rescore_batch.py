"""A batch of a re-score recommends the same, whether other learners are read once or for each learner."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.recommending.ports import CredentialIndex
from persistence.repositories.catalog import SqlCatalog
from persistence.unit_of_work import sessions
from tests.activities.builders import an_index
from tests.benchmarks.rescoring import REACT, copies, measure
from tests.support.builders import an_organization
from tests.support.rescores import a_rescore, a_role

LEARNERS = 25


async def _differences(
    engine: AsyncEngine, organization_id: UUID, role_id: UUID, index: CredentialIndex
) -> list[tuple[Any, ...]]:
    """Re-score the recommendations and return the differences by assessment."""
    async with sessions(engine)() as session:
        rescore_id = await a_rescore(session, organization_id, role_id=role_id, scope="recommendations")
        await session.commit()
    await measure("recommendations", engine, rescore_id, index)
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT assessment_id, outcome, difference FROM rescore_differences WHERE rescore_id = :id ORDER BY 1"
            ),
            {"id": rescore_id},
        )
        return [tuple(row) for row in found]


async def test_reading_other_learners_once_changes_no_recommendation(
    clean_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessions(clean_engine)() as session:
        index = await an_index(session)
        role = await a_role(session)
        organization_id = await an_organization(session)
        await session.commit()
    await copies(clean_engine, role, organization_id, index, LEARNERS)
    async with sessions(clean_engine)() as session:
        await session.execute(REACT, {"role_id": role.id})
        await session.commit()
    once = await _differences(clean_engine, organization_id, role.id, index)

    async def nobody(*_: object) -> dict[UUID, tuple[str, ...]]:
        return {}

    monkeypatch.setattr(SqlCatalog, "held_without_reactions", nobody)
    each = await _differences(clean_engine, organization_id, role.id, index)

    assert once == each
    assert {row[1] for row in once} == {"changed"}
