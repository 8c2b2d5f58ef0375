"""Builders of submitted assessments and of the stored data that the steps read."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.score_essays_locally import EssaysInput, LeftEssay, ScoreEssaysLocally
from activities.score_rules import ScoreRules
from activities.steps import RunInput
from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import JobKey
from domain.assessments.steps import answered_essays, submission_jobs
from domain.database import Database
from domain.grading.rubrics import Essay
from domain.grading.scores import DegradedReason, EssayScore
from persistence.repositories.assessments import SqlAssessments
from persistence.repositories.jobs import SqlJobs
from persistence.tables import AsyncJobRow, CredentialRow, EmbeddingArtifactRow, RoleRow
from tests.support.builders import ROLE_ID, an_assessment, artifact_id
from tests.support.fake_graders import FakeEssayGrader
from tests.support.fake_search import FakeEmbedder, IndexedCredential, InMemoryCredentialIndex, bag_of_words

MINUTE_AGO = datetime.now(UTC) - timedelta(minutes=1)


async def submitted(session: AsyncSession, **columns: Any) -> Assessment:
    """An assessment that a workflow has claimed, without any finished step."""
    return await an_assessment(
        session, status="awaiting_async", submitted_at=MINUTE_AGO, claimed_at=MINUTE_AGO, **columns
    )


async def enqueue(session: AsyncSession, assessment: Assessment) -> None:
    """Queue the jobs of a submitted assessment, as its submission does."""
    items = await SqlAssessments(session).items(assessment.id)
    await SqlJobs(session).enqueue(submission_jobs(assessment, items))


def run_of(assessment: Assessment) -> RunInput:
    return RunInput(assessment_id=assessment.id, run=assessment.run, revision=assessment.revision + 1)


async def essays_of(database: Database, assessment: Assessment) -> tuple[UUID, ...]:
    async with database.transaction() as uow:
        return answered_essays(await uow.assessments.items(assessment.id))


async def score_everything(database: Database, assessment: Assessment) -> None:
    """Run the scoring steps, which come before the search for evidence."""
    run = run_of(assessment)
    await ScoreRules(database).score_rules(run)
    batch = EssaysInput(run=run, essays=left(await essays_of(database, assessment)))
    await ScoreEssaysLocally(database, FakeEssayGrader()).score_essays_locally(batch)


def left(
    essays: Iterable[UUID], reason: DegradedReason = DegradedReason.ESSAY_GRADER_NOT_CONFIGURED
) -> tuple[LeftEssay, ...]:
    return tuple(LeftEssay(essay=essay, reason=reason) for essay in essays)


async def searchable_credentials(session: AsyncSession, number: int = 12) -> list[IndexedCredential]:
    """Credentials of the catalogue that teach the role's skills, each with a vector."""
    targets = await session.scalar(select(RoleRow.skills_profile).where(RoleRow.id == ROLE_ID))
    assert targets
    taught = CredentialRow.skills.op("&&")([target["skill"] for target in targets])
    found = await session.execute(select(CredentialRow).where(taught).order_by(CredentialRow.key).limit(number))
    credentials = [
        IndexedCredential(
            id=row.id,
            artifact_id=artifact_id(row.id),
            text=f"{row.title} {row.description}",
            skills=tuple(row.skills),
            vector=bag_of_words(f"{row.title} {row.description}"),
        )
        for row in found.scalars()
    ]
    await session.execute(insert(EmbeddingArtifactRow), [_artifact(each) for each in credentials])
    return credentials


def _artifact(credential: IndexedCredential) -> dict[str, Any]:
    return {
        "id": credential.artifact_id,
        "entity_type": "credential",
        "entity_id": credential.id,
        "provider": FakeEmbedder.provider,
        "model": FakeEmbedder.model,
        "text_hash": "0" * 64,
        "vector": credential.vector,
    }


async def an_index(session: AsyncSession) -> InMemoryCredentialIndex:
    return InMemoryCredentialIndex(await searchable_credentials(session))


async def job_row(session: AsyncSession, key: JobKey) -> AsyncJobRow:
    """The job's current row in the database."""
    statement = select(AsyncJobRow).where(AsyncJobRow.id == key.id)
    return (await session.execute(statement, execution_options={"populate_existing": True})).scalar_one()


class CountingGrader(FakeEssayGrader):
    """A grader that records its batches and first raises `failures`, one per call."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.batches: list[list[UUID]] = []

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        self.batches.append([essay.snapshot_id for essay in essays])
        if self.failures:
            raise self.failures.pop(0)
        return await super().grade(essays)
