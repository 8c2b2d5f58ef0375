"""The whole pipeline in one process: real Temporal and Postgres, the real worker builders, fakes for the models."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from temporalio.api.history.v1 import History
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.score_essay import GradingOptions, ScoreEssay
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import submission_jobs
from domain.database import Database
from domain.grading.ledger import SpendingLimits
from domain.grading.ports import EssayGrader, GradingModel
from domain.recommending.ports import CredentialIndex
from persistence.repositories.assessments import SqlAssessments
from persistence.tables import (
    EssayScoreRow,
    QuestionSnapshotRow,
    RecommendationRow,
    ResponseRow,
    ResultRevisionRow,
    RuleScoreRow,
)
from tests.support.builders import a_user, an_assessment, answer_all
from tests.support.fake_graders import FakeEssayGrader
from tests.support.fake_search import FakeEmbedder, FakeNearestLearners
from tests.support.fakes import RecordingErasureList
from tests.workflows.scripted import Handle, RevisionHandle
from workflows.assessment import AssessmentInput, AssessmentOutcome, AssessmentWorkflow
from workflows.engine.assessment_runs import TemporalAssessmentRuns, revision_workflow_id, workflow_id
from workflows.engine.models import Models
from workflows.engine.worker_settings import WorkerSettings
from workflows.engine.workers import assessments_worker, embeddings_worker, llm_worker
from workflows.policies import Queue
from workflows.revision import RevisionOutcome, RevisionWorkflow

MARKER = "marker-7d1f"
"""A mark in every text of a learner or question, and in identifying data."""
MARKED_NUMBER = "7319.046281"
MARKED = (MARKER, MARKED_NUMBER)
PATIENCE_S = 120

_MARKED_TEXTS = frozenset({"choices", "correct", "description", "descriptor", "explanation", "text"})


@dataclass
class Pipeline:
    client: Client
    sessions: async_sessionmaker[AsyncSession]
    database: Database
    index: CredentialIndex
    grader: EssayGrader = field(default_factory=FakeEssayGrader)
    model: GradingModel | None = None
    limits: SpendingLimits = field(default_factory=SpendingLimits)
    erased: list[UUID] = field(default_factory=list)
    suffix: str = field(default_factory=lambda: f"-{uuid4()}")
    executions: set[tuple[str, str | None]] = field(default_factory=set)

    @property
    def runs(self) -> TemporalAssessmentRuns:
        return TemporalAssessmentRuns(self.client, Queue.ASSESSMENTS + self.suffix, deadline_s=PATIENCE_S)

    @asynccontextmanager
    async def workers(self, database: Database | None = None, *, grace_s: int = 5) -> AsyncIterator[None]:
        database = database or self.database
        settings = WorkerSettings(grace_s=grace_s, llm_grace_s=grace_s)
        models = Models(embedder=FakeEmbedder(), index=self.index, grader=self.grader, nearest=FakeNearestLearners())
        queues = (Queue.ASSESSMENTS + self.suffix, Queue.EMBEDDINGS + self.suffix, Queue.LLM + self.suffix)
        by_model = self.model is not None
        async with AsyncExitStack() as running:
            for worker in (
                assessments_worker(
                    self.client,
                    database,
                    self.runs,
                    settings,
                    queues[0],
                    by_model=by_model,
                    erasure_list=RecordingErasureList(self.erased),
                ),
                embeddings_worker(self.client, database, models, settings, queues[1]),
            ):
                await running.enter_async_context(worker)
            if self.model is not None:
                score = ScoreEssay(database, self.model, GradingOptions(samples=1, limits=self.limits))
                await running.enter_async_context(llm_worker(self.client, score, settings, queues[2]))
            yield

    async def assessment(self, *, answered: bool = True, **columns: Any) -> Assessment:
        """Twelve marked questions, two of them essays, and marked answers to all of them."""
        async with self.sessions() as session:
            user_id = await a_user(session, email=f"{MARKER}-{uuid4()}@example.org")
            assessment = await an_assessment(session, user_id=user_id, answered=False, items=12, **columns)
            await _mark(session, assessment.id)
            if answered:
                await answer_all(session, assessment.id)
                await _mark_numbers(session, assessment.id)
            await session.commit()
        return assessment

    async def start(self, assessment: Assessment) -> Handle:
        """Start a run that waits for the submission, as earlier releases did when an assessment was started."""
        await self.client.start_workflow(
            AssessmentWorkflow.run,
            AssessmentInput(assessment_id=assessment.id, expires_at=assessment.expires_at),
            id=workflow_id(assessment.id),
            task_queue=Queue.ASSESSMENTS + self.suffix,
        )
        return await self._handle(assessment)

    async def submit(self, assessment: Assessment) -> Handle:
        return await self._hand_in(assessment, Assessment.submit)

    async def rerun(self, assessment: Assessment) -> Handle:
        return await self._hand_in(assessment, Assessment.rerun)

    async def _hand_in(self, assessment: Assessment, move: Callable[[Assessment], Assessment]) -> Handle:
        """Commit first, then start the run, as the API does."""
        async with self.database.transaction() as uow:
            before, _ = await uow.assessments.lock(assessment.id)
            after = move(before)
            await uow.assessments.save(before, after)
            await uow.jobs.enqueue(submission_jobs(after, await uow.assessments.items(after.id)))
            await uow.commit()
        return await self.signal(after)

    async def signal(self, assessment: Assessment) -> Handle:
        await self.runs.submit(assessment)
        return await self._handle(assessment)

    async def _handle(self, assessment: Assessment) -> Handle:
        """A handle for the latest run."""
        described = await self.client.get_workflow_handle(workflow_id(assessment.id)).describe()
        assert described.run_id
        self.executions.add((described.id, described.run_id))
        return self.client.get_workflow_handle_for(
            AssessmentWorkflow.run,
            described.id,
            run_id=described.run_id,
        )

    async def heal_now(self, assessment: Assessment) -> RevisionOutcome:
        """Retry as an advisor, and wait for the result."""
        await self.runs.heal_now(assessment)
        handle: RevisionHandle = self.client.get_workflow_handle_for(
            RevisionWorkflow.run, revision_workflow_id(assessment.id)
        )
        described = await handle.describe()
        self.executions.add((described.id, described.run_id))
        async with asyncio.timeout(PATIENCE_S):
            return await handle.result()

    async def leaks(self) -> list[str]:
        """The places in Temporal with marked text: histories, failures, memos, summaries or search attributes."""
        return [
            f"{id_}: {found}"
            for id_, run_id in self.executions
            for found in MARKED
            if found.encode() in (await self.recorded(id_, run_id)).lower()
        ]

    async def recorded(self, id_: str, run_id: str | None) -> bytes:
        """The stored bytes of a run; none if an erasure deleted it. Its JSON would hide payloads in base64."""
        handle = self.client.get_workflow_handle(id_, run_id=run_id)
        try:
            return await history_bytes(handle) + (await handle.describe()).raw_description.SerializeToString()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return b""

    async def row(self, assessment: Assessment) -> Assessment:
        async with self.sessions() as session:
            return await SqlAssessments(session).get(assessment.id)

    async def published(self, assessment: Assessment) -> dict[type, int]:
        """The numbers of rows that a publication writes."""
        async with self.sessions() as session:
            return {
                row: await session.scalar(select(func.count()).where(row.assessment_id == assessment.id)) or 0
                for row in (RuleScoreRow, EssayScoreRow, RecommendationRow, ResultRevisionRow)
            }


ONE_RESULT = {RuleScoreRow: 10, EssayScoreRow: 2, RecommendationRow: 1, ResultRevisionRow: 1}


async def outcome(handle: Handle) -> AssessmentOutcome:
    async with asyncio.timeout(PATIENCE_S):
        return await handle.result()


async def history_bytes(handle: Any) -> bytes:
    return History(events=(await handle.fetch_history()).events).SerializeToString()


async def _mark(session: AsyncSession, assessment_id: UUID) -> None:
    snapshots = await session.scalars(
        select(QuestionSnapshotRow).where(QuestionSnapshotRow.assessment_id == assessment_id)
    )
    for snapshot in snapshots.all():
        snapshot.prompt = f"{MARKER} {snapshot.prompt}"
        snapshot.rubric = _marked(snapshot.rubric)
        snapshot.answer_format = _marked(snapshot.answer_format)
        snapshot.version = uuid4().hex
    await session.flush()


def _marked(value: Any, key: str = "") -> Any:
    match value:
        case dict():
            return {
                f"{MARKER} {name}" if key == "evidence" else name: _marked(each, name) for name, each in value.items()
            }
        case list():
            return [_marked(each, key) for each in value]
        case str() if key in _MARKED_TEXTS:
            return f"{MARKER} {value}"
        case _:
            return value


async def _mark_numbers(session: AsyncSession, assessment_id: UUID) -> None:
    numbers = select(QuestionSnapshotRow.id).where(
        QuestionSnapshotRow.assessment_id == assessment_id, QuestionSnapshotRow.kind == "number"
    )
    marked = await session.execute(
        update(ResponseRow)
        .where(ResponseRow.question_snapshot_id.in_(numbers))
        .values(answer=MARKED_NUMBER)
        .returning(ResponseRow.id),
        execution_options={"synchronize_session": False},
    )
    assert marked.all()
