from collections.abc import Sequence

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import QueuePool

from activities.retrieve_evidence import RetrieveEvidence, SearchBackend
from activities.score_rules import ScoreRules
from domain.assessments.lifecycle import Assessment
from domain.assessments.steps import Step
from domain.database import Database
from domain.errors import Conflict, ExternalServiceError, ModelUnavailable, StorageUnavailable
from domain.grading.scores import DegradedReason
from domain.recommending.ports import SearchQuery, SearchResult
from domain.recommending.recommendations import Evidence
from persistence.tables import CredentialRow
from persistence.unit_of_work import SqlDatabase, sessions
from tests.activities.builders import an_index, job_row, run_of, score_everything, searchable_credentials, submitted
from tests.support.fake_search import FakeEmbedder, InMemoryCredentialIndex


async def stored(database: Database, assessment: Assessment) -> Evidence:
    async with database.transaction() as uow:
        return await uow.jobs.output(run_of(assessment).job(Step.RETRIEVE_EVIDENCE), Evidence)


async def test_every_gap_is_searched_for_and_every_hit_leaves_a_trace(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await score_everything(database, assessment)

    result = await RetrieveEvidence(database, FakeEmbedder(), await an_index(session)).retrieve_evidence(
        run_of(assessment)
    )

    evidence = await stored(database, assessment)
    skills = {gap.skill for gap in evidence.gaps}
    assert (result.gaps, result.traces) == (len(evidence.gaps), len(evidence.traces))
    assert evidence.traces
    assert {trace.skill for trace in evidence.traces} <= skills
    assert (evidence.embedding_provider, evidence.embedding_model) == ("fake", "bag-of-words")


async def test_all_gaps_are_embedded_in_one_batch_and_a_repetition_embeds_nothing(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await score_everything(database, assessment)
    embedder = FakeEmbedder()
    activity = RetrieveEvidence(database, embedder, await an_index(session))

    first = await activity.retrieve_evidence(run_of(assessment))

    assert await activity.retrieve_evidence(run_of(assessment)) == first
    assert embedder.batches == [2 * first.gaps]  # each by its name and by what it means


async def test_a_hit_on_a_credential_that_was_withdrawn_does_not_count(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await score_everything(database, assessment)
    credentials = await searchable_credentials(session)
    withdrawn = credentials[0].id
    await session.execute(update(CredentialRow).where(CredentialRow.id == withdrawn).values(active=False))

    await RetrieveEvidence(database, FakeEmbedder(), InMemoryCredentialIndex(credentials)).retrieve_evidence(
        run_of(assessment)
    )

    found = {trace.credential_id for trace in (await stored(database, assessment)).traces}
    assert found
    assert withdrawn not in found


async def test_without_a_single_hit_there_are_gaps_and_no_traces(database: Database, assessment: Assessment) -> None:
    await score_everything(database, assessment)

    result = await RetrieveEvidence(database, FakeEmbedder(), InMemoryCredentialIndex([])).retrieve_evidence(
        run_of(assessment)
    )

    assert result.gaps > 0
    assert result.traces == 0


async def test_evidence_needs_the_score_of_every_essay(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await ScoreRules(database).score_rules(run_of(assessment))
    embedder = FakeEmbedder()

    with pytest.raises(Conflict):
        await RetrieveEvidence(database, embedder, await an_index(session)).retrieve_evidence(run_of(assessment))

    row = await job_row(session, run_of(assessment).job(Step.RETRIEVE_EVIDENCE))
    assert (row.status, row.error_payload) == ("failed", {"code": "CONFLICT_409"})
    assert embedder.batches == []


async def test_no_transaction_is_open_while_the_model_or_the_index_works(clean_engine: AsyncEngine) -> None:
    database, pool = SqlDatabase(clean_engine), clean_engine.pool
    assert isinstance(pool, QueuePool)
    checked_out = pool.checkedout
    in_use: list[int] = []

    class Embedder(FakeEmbedder):
        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            in_use.append(checked_out())
            return await super().embed(texts)

    class Index(InMemoryCredentialIndex):
        async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
            in_use.append(checked_out())
            return await super().search(queries, limit=limit)

    async with sessions(clean_engine)() as session:
        assessment = await submitted(session)
        index = Index(await searchable_credentials(session))
        await session.commit()
    await score_everything(database, assessment)

    await RetrieveEvidence(database, Embedder(), index).retrieve_evidence(run_of(assessment))

    assert in_use == [0, 0]


class Paid(FakeEmbedder):
    """Another model; raises the given error instead of an answer."""

    provider, model = "openai", "text-embedding-3-small"

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure = failure

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.failure:
            raise self.failure
        return await super().embed(texts)


class Unsearchable(InMemoryCredentialIndex):
    """An index that raises the given error."""

    def __init__(self, failure: Exception) -> None:
        super().__init__([])
        self.failure = failure

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        del queries, limit
        raise self.failure


async def standby(session: AsyncSession) -> SearchBackend:
    return SearchBackend(embedder=FakeEmbedder(), index=await an_index(session))


async def test_while_the_model_works_the_fallback_is_not_used(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await score_everything(database, assessment)
    spare = await standby(session)
    unasked = SearchBackend(embedder=Paid(ModelUnavailable("away")), index=spare.index)

    result = await RetrieveEvidence(database, Paid(), spare.index, unasked).retrieve_evidence(run_of(assessment))

    evidence = await stored(database, assessment)
    assert result.degraded_reasons == ()
    assert (evidence.embedding_provider, evidence.embedding_model) == ("openai", "text-embedding-3-small")


@pytest.mark.parametrize(
    ("embedder", "index"),
    [
        (Paid(ModelUnavailable("away")), InMemoryCredentialIndex([])),
        (Paid(), Unsearchable(ExternalServiceError("not embedded yet"))),
    ],
)
async def test_without_the_model_or_its_vectors_the_fallback_searches_and_the_result_is_degraded(
    session: AsyncSession,
    database: Database,
    assessment: Assessment,
    embedder: Paid,
    index: InMemoryCredentialIndex,
) -> None:
    await score_everything(database, assessment)
    activity = RetrieveEvidence(database, embedder, index, await standby(session))

    result = await activity.retrieve_evidence(run_of(assessment))

    evidence = await stored(database, assessment)
    assert result.degraded_reasons == (DegradedReason.EMBEDDER_FALLBACK,)
    assert evidence.traces
    assert (evidence.embedding_provider, evidence.embedding_model) == ("fake", "bag-of-words")


async def test_without_a_fallback_the_failure_is_raised(database: Database, assessment: Assessment) -> None:
    await score_everything(database, assessment)
    embedder = Paid(ModelUnavailable("away"))

    with pytest.raises(ModelUnavailable):
        await RetrieveEvidence(database, embedder, InMemoryCredentialIndex([])).retrieve_evidence(run_of(assessment))


async def test_a_database_failure_does_not_use_the_fallback(
    session: AsyncSession, database: Database, assessment: Assessment
) -> None:
    await score_everything(database, assessment)
    activity = RetrieveEvidence(database, Paid(), Unsearchable(StorageUnavailable("away")), await standby(session))

    with pytest.raises(StorageUnavailable):
        await activity.retrieve_evidence(run_of(assessment))
