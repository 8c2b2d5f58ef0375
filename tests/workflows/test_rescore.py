"""Re-scores against real servers: nothing is published before it is applied, and then exactly once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.assessments.lifecycle import Assessment
from domain.rescores.rescores import RescoreStatus
from persistence.queries.rescores import DifferenceView, RescoreQueries, SummaryView
from persistence.queries.views import Actor
from persistence.request_database import RequestDatabase
from persistence.tables import WebhookEventRow
from tests.support.builders import a_user, an_organization
from tests.support.rescores import AskedRole, a_rescore, a_role, an_answered_assessment, wrong_choice
from tests.workflows.pipeline import PATIENCE_S, Pipeline, outcome
from workflows.engine.rescore_runs import TemporalRescoreRuns, workflow_id
from workflows.policies import Queue
from workflows.rescore import RescoreWorkflow


@dataclass
class Desk:
    """An organization with a role of its own, completed assessments and the actions of an admin."""

    pipeline: Pipeline
    engine: Any
    organization_id: UUID
    role: AskedRole
    admin: Actor

    async def completed(self) -> Assessment:
        async with self.pipeline.sessions() as session:
            made = await an_answered_assessment(session, self.role, self.organization_id)
            await session.commit()
        await outcome(await self.pipeline.submit(made))
        return await self.pipeline.row(made)

    async def rescore(self, **columns: Any) -> UUID:
        async with self.pipeline.sessions() as session:
            rescore_id = await a_rescore(session, self.organization_id, **({"role_id": self.role.id} | columns))
            await session.commit()
        await self.run(rescore_id)
        return rescore_id

    async def run(self, rescore_id: UUID) -> None:
        """Start the re-score's workflow and wait for the end of its chain."""
        async with self.pipeline.database.statement() as uow:
            found = await uow.rescores.get(rescore_id)
        runs = TemporalRescoreRuns(self.pipeline.client, Queue.ASSESSMENTS + self.pipeline.suffix, PATIENCE_S)
        await runs.start(found)
        await self.pipeline.client.get_workflow_handle_for(RescoreWorkflow.run, workflow_id(rescore_id)).result()

    async def apply(self, rescore_id: UUID, ids: list[UUID] | None = None) -> None:
        async with RequestDatabase(self.engine).transaction() as uow:
            found = await uow.requested_rescores.lock(rescore_id, self.organization_id)
            await uow.requested_rescores.choose(found, ids, self.admin)
            await uow.commit()
        await self.run(rescore_id)

    async def status(self, rescore_id: UUID) -> RescoreStatus:
        async with self.pipeline.database.statement() as uow:
            return (await uow.rescores.get(rescore_id)).status

    async def summary(self, rescore_id: UUID) -> SummaryView:
        return await RescoreQueries(self.engine).summary(rescore_id)

    async def differences(self, rescore_id: UUID) -> dict[UUID, DifferenceView]:
        found = await RescoreQueries(self.engine).differences(rescore_id, outcome=None, after=None, limit=100)
        return {each.assessment_id: each for each in found}


@pytest.fixture
async def desk(pipeline: Pipeline, pipeline_engine: Any) -> AsyncIterator[Desk]:
    async with pipeline.sessions() as session:
        organization_id = await an_organization(session)
        role = await a_role(session)
        admin = await a_user(session, organization_id, role="admin")
        await session.commit()
    async with pipeline.workers():
        yield Desk(pipeline, pipeline_engine, organization_id, role, Actor(id=admin, role="admin"))


async def test_a_corrected_key_changes_the_points_in_the_report_and_publishes_nothing(desk: Desk) -> None:
    assessment = await desk.completed()
    async with desk.pipeline.sessions() as session:
        await wrong_choice(session, desk.role.questions["single"])
        await session.commit()

    rescore_id = await desk.rescore()

    assert await desk.status(rescore_id) is RescoreStatus.COMPUTED
    view = (await desk.differences(rescore_id))[assessment.id]
    assert (view.outcome, view.new_points < view.old_points) == ("changed", True)
    changed = [item for item in view.difference["items"] if item["old_points"] != item["new_points"]]
    assert [item["question_id"] for item in changed] == [str(desk.role.questions["single"])]
    assert (await desk.pipeline.row(assessment)).revision == 1


async def test_an_applied_difference_becomes_a_revision_with_one_event(desk: Desk) -> None:
    assessment = await desk.completed()
    async with desk.pipeline.sessions() as session:
        await wrong_choice(session, desk.role.questions["single"])
        await session.commit()
    rescore_id = await desk.rescore()

    await desk.apply(rescore_id)

    view = (await desk.differences(rescore_id))[assessment.id]
    assert (view.status, view.applied_revision) == ("applied", 2)
    async with desk.pipeline.database.statement() as uow:
        published = (await uow.results.published(assessment.id)).scores
    total = sum((score.points or Decimal(0) for score in (*published.rules, *published.essays)), Decimal(0))
    assert total == view.new_points
    async with desk.pipeline.sessions() as session:
        events = list(await session.scalars(select(WebhookEventRow.event_type).filter_by(assessment_id=assessment.id)))
    assert sorted(events) == ["assessment.completed", "assessment.updated"]
    again = await desk.rescore()
    assert (await desk.summary(again)).changed == 0
