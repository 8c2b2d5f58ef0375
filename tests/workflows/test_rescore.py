"""Re-scores against real servers: nothing is published before it is applied, and then exactly once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from temporalio.client import WorkflowHandle

from domain.assessments.lifecycle import Assessment
from domain.grading.ledger import SpendingLimits
from domain.grading.scores import ItemScore
from domain.privacy import Erasure
from domain.rescores.rescores import Rescore, RescoreStatus
from persistence.queries.rescores import DifferenceView, RescoreQueries, SummaryView
from persistence.queries.views import Actor
from persistence.request_database import RequestDatabase
from persistence.tables import (
    AuditLogRow,
    EssayReviewRow,
    EssayScoreRow,
    QuestionRow,
    RescoreDifferenceRow,
    ResultRevisionRow,
    RoleRow,
    WebhookEventRow,
)
from tests.support.builders import a_user, an_organization
from tests.support.fake_graders import FakeGradingModel
from tests.support.rescores import AskedRole, a_rescore, a_role, an_answered_assessment, change_question, wrong_choice
from tests.workflows.pipeline import PATIENCE_S, Pipeline, outcome
from workflows.engine.rescore_runs import TemporalRescoreRuns, workflow_id
from workflows.policies import Queue

NEW_PROMPT = "e" * 64


@dataclass
class ReviewDesk:
    """An organization with a role of its own, and the actions of its admin."""

    pipeline: Pipeline
    engine: AsyncEngine
    organization_id: UUID
    role: AskedRole
    admin: Actor

    @property
    def single(self) -> UUID:
        return self.role.questions["single"]

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        async with self.pipeline.sessions() as session:
            yield session
            await session.commit()

    async def completed(self) -> Assessment:
        async with self.session() as session:
            made = await an_answered_assessment(session, self.role, self.organization_id)
        await outcome(await self.pipeline.submit(made))
        return await self.pipeline.row(made)

    async def change_key(self) -> None:
        async with self.session() as session:
            await wrong_choice(session, self.single)

    async def rescore(self, **columns: Any) -> UUID:
        async with self.session() as session:
            rescore_id = await a_rescore(session, self.organization_id, **({"role_id": self.role.id} | columns))
        await self.run(rescore_id)
        return rescore_id

    async def run(self, rescore_id: UUID) -> None:
        """Start the re-score's workflow and wait for the end of its chain of runs."""
        runs = TemporalRescoreRuns(self.pipeline.client, Queue.ASSESSMENTS + self.pipeline.suffix, PATIENCE_S)
        await runs.start(await self.row(rescore_id))
        handle: WorkflowHandle[Any, Any] = self.pipeline.client.get_workflow_handle(workflow_id(rescore_id))
        await handle.result()
        described = await handle.describe()
        self.pipeline.executions.add((described.id, described.run_id))

    async def apply(self, rescore_id: UUID, *ids: UUID) -> None:
        async with RequestDatabase(self.engine).transaction() as uow:
            found = await uow.requested_rescores.lock(rescore_id, self.organization_id)
            await uow.requested_rescores.choose(found, ids or None, self.admin)
            await uow.commit()
        await self.run(rescore_id)

    async def discard(self, rescore_id: UUID) -> None:
        async with RequestDatabase(self.engine).transaction() as uow:
            found = await uow.requested_rescores.lock(rescore_id, self.organization_id)
            await uow.requested_rescores.discard(found, self.admin)
            await uow.commit()
        await self.run(rescore_id)

    async def row(self, rescore_id: UUID) -> Rescore:
        async with self.pipeline.database.statement() as uow:
            return await uow.rescores.get(rescore_id)

    async def summary(self, rescore_id: UUID) -> SummaryView:
        return await RescoreQueries(self.engine).summary(rescore_id)

    async def differences(self, rescore_id: UUID) -> dict[UUID, DifferenceView]:
        found = await RescoreQueries(self.engine).differences(rescore_id, outcome=None, after=None, limit=100)
        return {each.assessment_id: each for each in found}

    async def difference(self, rescore_id: UUID, assessment: Assessment) -> DifferenceView:
        return (await self.differences(rescore_id))[assessment.id]

    async def review(self, assessment: Assessment) -> None:
        """Store a review that no revision includes yet."""
        async with self.session() as session:
            snapshot = (
                await session.scalars(
                    select(EssayScoreRow.question_snapshot_id).filter_by(assessment_id=assessment.id).limit(1)
                )
            ).one()
            rubric = await session.scalar(select(QuestionRow.rubric).filter_by(id=self.role.questions["text"]))
            levels = {each["key"]: each["levels"][-1]["name"] for each in rubric["criteria"]}
            row = {"id": uuid4(), "assessment_id": assessment.id, "question_snapshot_id": snapshot}
            await session.execute(insert(EssayReviewRow).values(**row, reviewer_id=self.admin.id, levels=levels))


@asynccontextmanager
async def desk_of(pipeline: Pipeline, engine: AsyncEngine) -> AsyncIterator[ReviewDesk]:
    async with pipeline.sessions() as session:
        organization_id = await an_organization(session)
        role = await a_role(session)
        admin = await a_user(session, organization_id, role="admin")
        await session.commit()
    async with pipeline.workers():
        yield ReviewDesk(pipeline, engine, organization_id, role, Actor(id=admin, role="admin"))


@pytest.fixture
async def desk(pipeline: Pipeline, pipeline_engine: AsyncEngine) -> AsyncIterator[ReviewDesk]:
    async with desk_of(pipeline, pipeline_engine) as desk:
        yield desk


async def test_a_corrected_key_changes_the_points_in_the_report_and_publishes_nothing(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    await desk.change_key()

    rescore_id = await desk.rescore()

    found = await desk.row(rescore_id)
    assert (found.status, found.done, found.total) == (RescoreStatus.COMPUTED, 1, 1)
    view = await desk.difference(rescore_id, assessment)
    assert (view.outcome, view.new_points < view.old_points) == ("changed", True)
    changed = [item for item in view.difference["items"] if item["old_points"] != item["new_points"]]
    assert [item["question_id"] for item in changed] == [str(desk.single)]
    assert await desk.pipeline.row(assessment) == assessment


async def test_an_applied_difference_becomes_one_revision_that_a_second_rescore_confirms(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    await desk.change_key()
    rescore_id = await desk.rescore()

    await desk.apply(rescore_id)
    await desk.run(rescore_id)

    view = await desk.difference(rescore_id, assessment)
    assert (view.status, view.applied_revision) == ("applied", 2)
    async with desk.pipeline.database.statement() as uow:
        published = (await uow.results.published(assessment.id)).scores
    scored: tuple[ItemScore, ...] = (*published.rules, *published.essays)
    points = [score.points or Decimal(0) for score in scored]
    assert sum(points, Decimal(0)) == view.new_points
    async with desk.session() as session:
        revisions = select(func.count()).select_from(ResultRevisionRow).filter_by(assessment_id=assessment.id)
        assert await session.scalar(revisions) == 2
        events = await session.scalars(select(WebhookEventRow.event_type).filter_by(assessment_id=assessment.id))
        assert sorted(events) == ["assessment.completed", "assessment.updated"]
        actions = await session.scalars(select(AuditLogRow.action).filter_by(resource_id=rescore_id))
        assert sorted(actions) == ["rescore.applied", "rescore.computed"]
    assert (await desk.summary(await desk.rescore())).changed == 0


async def test_a_result_can_be_revised_after_its_rubric_changed_by_a_rescore(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    essay = desk.role.questions["text"]
    async with desk.session() as session:
        rubric = await session.scalar(select(QuestionRow.rubric).filter_by(id=essay))
        first = {**rubric["criteria"][0], "key": "renamed"}
        anchors = [
            {**each, "levels": _renamed(each["levels"], rubric["criteria"][0]["key"])} for each in rubric["anchors"]
        ]
        changed = {**rubric, "criteria": [first, *rubric["criteria"][1:]], "anchors": anchors}
        await change_question(session, essay, rubric=changed)
    rescore_id = await desk.rescore(scope="essays")
    await desk.apply(rescore_id)
    await desk.review(assessment)

    await desk.pipeline.runs.reviewed(assessment)
    await desk.pipeline.client.get_workflow_handle(f"revision-{assessment.id}").result()

    async with desk.pipeline.database.statement() as uow:
        (score,) = (await uow.results.published(assessment.id)).scores.essays
    assert (score.reviewed, score.ratings[0].criterion) == (True, "renamed")


async def test_a_difference_is_skipped_if_the_assessment_has_a_newer_revision(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    await desk.change_key()
    first, second = await desk.rescore(), await desk.rescore()

    await desk.apply(first)
    await desk.apply(second)

    view = await desk.difference(second, assessment)
    assert (view.status, view.skip_reason) == ("skipped", "newer_revision")
    assert (await desk.pipeline.row(assessment)).revision == 2


async def test_a_difference_is_skipped_if_the_assessment_has_a_newer_review(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    await desk.change_key()
    rescore_id = await desk.rescore()
    await desk.review(assessment)

    await desk.apply(rescore_id)

    view = await desk.difference(rescore_id, assessment)
    assert (view.status, view.skip_reason) == ("skipped", "newer_review")
    assert (await desk.pipeline.row(assessment)).revision == 1


async def test_only_the_chosen_assessments_get_a_revision(desk: ReviewDesk) -> None:
    chosen, other = await desk.completed(), await desk.completed()
    await desk.change_key()
    rescore_id = await desk.rescore(role_id=None, question_id=desk.single)

    await desk.apply(rescore_id, chosen.id)

    assert [(await desk.pipeline.row(each)).revision for each in (chosen, other)] == [2, 1]
    assert (await desk.row(rescore_id)).status is RescoreStatus.COMPUTED


async def test_an_answer_that_does_not_fit_any_more_keeps_its_score_with_the_reason(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    async with desk.session() as session:
        found = (await session.execute(select(QuestionRow.rubric).filter_by(id=desk.single))).one()
        choices = ["One", "Other"]
        await change_question(
            session,
            desk.single,
            choices=choices,
            answer_format={"kind": "single", "choices": choices},
            rubric={**found.rubric, "correct": "One"},
        )

    rescore_id = await desk.rescore()

    view = await desk.difference(rescore_id, assessment)
    assert (view.outcome, view.old_points) == ("not_comparable", view.new_points)
    reasons = {item["question_id"]: item["not_comparable"] for item in view.difference["items"]}
    assert reasons[str(desk.single)] == (
        "The stored answer does not fit the current question: must be one of the choices."
    )
    assert (await desk.summary(rescore_id)).not_comparable == 1


async def test_a_rescore_of_recommendations_keeps_all_scores(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    async with desk.session() as session:
        await _raise_targets(session, desk.role.id)

    rescore_id = await desk.rescore(scope="recommendations")

    view = await desk.difference(rescore_id, assessment)
    assert (view.outcome, view.old_points) == ("changed", view.new_points)
    assert {each["new_target"] for each in view.difference["skills"]} == {"1"}
    assert view.difference["items"] == []


async def test_an_erased_user_leaves_the_report_and_the_rest_is_applied(desk: ReviewDesk) -> None:
    leaving, staying = await desk.completed(), await desk.completed()
    await desk.change_key()
    rescore_id = await desk.rescore()
    await _erase(desk, leaving)

    await desk.apply(rescore_id)
    later = await desk.rescore()

    assert set(await desk.differences(rescore_id)) == set(await desk.differences(later)) == {staying.id}
    assert (await desk.pipeline.row(staying)).revision == 2
    assert (await desk.row(later)).total == 1


async def test_a_discarded_rescore_has_no_differences_and_cannot_be_applied(desk: ReviewDesk) -> None:
    await desk.completed()
    await desk.change_key()
    rescore_id = await desk.rescore()

    await desk.discard(rescore_id)

    assert (await desk.row(rescore_id)).status is RescoreStatus.DISCARDED
    async with desk.session() as session:
        rows = select(func.count()).select_from(RescoreDifferenceRow).filter_by(rescore_id=rescore_id)
        assert await session.scalar(rows) == 0


async def test_without_a_language_model_the_local_grader_grades_essays_again(desk: ReviewDesk) -> None:
    assessment = await desk.completed()
    async with desk.session() as session:
        rubric = await session.scalar(select(QuestionRow.rubric).filter_by(id=desk.role.questions["text"]))
        for level in rubric["criteria"][0]["levels"][1:]:
            level["points"] = str(Decimal(level["points"]) + 1)
        await change_question(session, desk.role.questions["text"], rubric=rubric)

    rescore_id = await desk.rescore(scope="essays")

    view = await desk.difference(rescore_id, assessment)
    assert view.new_points == view.old_points + 1


async def test_essays_are_paid_for_once_however_often_they_are_rescored(
    pipeline: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    pipeline.model = model = FakeGradingModel()
    async with desk_of(pipeline, pipeline_engine) as desk:
        await desk.completed()
        paid = [len(model.asked)]
        unchanged = await desk.rescore(scope="essays")
        paid.append(len(model.asked))
        model.prompt_version = NEW_PROMPT
        changed = await desk.rescore(scope="essays")
        paid.append(len(model.asked))
        again = await desk.rescore(scope="essays")
        paid.append(len(model.asked))

    assert paid == [1, 1, 2, 2]
    cents = [(await desk.row(each)).cents for each in (unchanged, changed, again)]
    assert cents == [Decimal(0), Decimal("0.25"), Decimal(0)]


async def test_a_spent_budget_stops_the_computation_with_its_reason(
    pipeline: Pipeline, pipeline_engine: AsyncEngine
) -> None:
    pipeline.model = model = FakeGradingModel()
    pipeline.limits = SpendingLimits(budget_cents_per_day=Decimal("0.75"))
    async with desk_of(pipeline, pipeline_engine) as desk:
        for _ in range(2):
            await desk.completed()
        model.prompt_version = NEW_PROMPT
        rescore_id = await desk.rescore(scope="essays")

        found = await desk.row(rescore_id)
        assert (found.status, found.stop_reason) == (RescoreStatus.STOPPED, "essay_budget_spent")
        assert (found.done, found.total, found.cents) == (1, 2, Decimal("0.25"))
        assert len(await desk.differences(rescore_id)) == 1


def _renamed(levels: dict[str, str], key: str) -> dict[str, str]:
    return {"renamed" if each == key else each: level for each, level in levels.items()}


async def _raise_targets(session: AsyncSession, role_id: UUID) -> None:
    skills = await session.scalar(select(RoleRow.skills_profile).filter_by(id=role_id))
    raised = [{**skill, "target": "1"} for skill in skills]
    await session.execute(update(RoleRow).filter_by(id=role_id).values(skills_profile=raised))


async def _erase(desk: ReviewDesk, assessment: Assessment) -> None:
    """Erase as the workflow of an erasure does."""
    async with RequestDatabase(desk.engine).transaction() as uow:
        begun: Erasure = await uow.erasures.begin(
            assessment.user_id,
            organization_id=desk.organization_id,
            actor_id=desk.admin.id,
            actor_role=desk.admin.role,
        )
        await uow.commit()
    async with desk.pipeline.database.transaction() as uow:
        await uow.erasures.forget_assessments([assessment.id])
        await uow.erasures.forget_account(begun.id)
        await uow.commit()
