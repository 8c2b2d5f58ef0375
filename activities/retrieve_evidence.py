"""Compute the skill gaps from the scores and search the catalogue for credentials that close them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from temporalio import activity

from activities.phrases import embed_lines
from activities.steps import RunInput, run_step, scores
from domain.assessments.steps import Step
from domain.database import Database, Repositories
from domain.errors import ExternalServiceError
from domain.grading.scores import DegradedReason
from domain.recommending.ports import CredentialIndex, Embedder, SearchQuery, SearchResult
from domain.recommending.ranking import gap_query
from domain.recommending.recommendations import Evidence, SearchHit, Trace
from domain.recommending.roles import Credential
from domain.recommending.skills import SkillGap, skill_gaps, skill_profile

HITS_PER_GAP = 12
FETCHED_PER_GAP = 20
"""More hits than are used, because an index may still contain withdrawn credentials."""
SNIPPET_CHARS = 280

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceResult:
    gaps: int
    traces: int
    degraded_reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBackend:
    """An embedder for the queries, and an index with vectors of the same model."""

    embedder: Embedder
    index: CredentialIndex


class RetrieveEvidence:
    """`fallback` searches when the model fails or the catalogue has no vectors of it yet."""

    def __init__(
        self, database: Database, embedder: Embedder, index: CredentialIndex, fallback: SearchBackend | None = None
    ) -> None:
        self._database = database
        self._backend = SearchBackend(embedder=embedder, index=index)
        self._fallback = fallback

    @activity.defn
    async def retrieve_evidence(self, run: RunInput) -> EvidenceResult:
        async def work() -> Evidence:
            return await self._retrieve(run)

        evidence = await run_step(self._database, run.job(Step.RETRIEVE_EVIDENCE), Evidence, work)
        reasons = (evidence.degraded_reason,) if evidence.degraded_reason else ()
        return EvidenceResult(gaps=len(evidence.gaps), traces=len(evidence.traces), degraded_reasons=reasons)

    async def _retrieve(self, run: RunInput) -> Evidence:
        async with self._database.statement() as uow:
            gaps, reviews = await gaps_of(uow, run)
        return replace(await self.evidence(gaps), reviews=reviews)

    async def evidence(self, gaps: tuple[SkillGap, ...]) -> Evidence:
        """Search the catalogue for the gaps. The search depends only on the skills and their descriptions."""
        started = time.monotonic()
        found, embedder = await self._search(gaps)
        async with self._database.statement() as uow:
            credentials = await uow.catalog.credentials([hit.credential_id for hits in found.hits for hit in hits])
        return Evidence(
            gaps=gaps,
            traces=_traces(gaps, found.hits, credentials),
            latency_ms=round((time.monotonic() - started) * 1000),
            embedding_provider=embedder.provider,
            embedding_model=embedder.model,
            degraded_reason=found.degraded_reason,
        )

    async def _search(self, gaps: Sequence[SkillGap]) -> tuple[SearchResult, Embedder]:
        """Return the hits and the embedder that found them."""
        try:
            return await _found(self._backend, gaps), self._backend.embedder
        except ExternalServiceError as error:
            if self._fallback is None:
                raise
            log.warning("embedder_fallback", error=type(error).__name__)
        found = await _found(self._fallback, gaps)
        return replace(found, degraded_reason=DegradedReason.EMBEDDER_FALLBACK), self._fallback.embedder


async def _found(backend: SearchBackend, gaps: Sequence[SkillGap]) -> SearchResult:
    texts = [gap_query(gap) for gap in gaps]
    vectors = await embed_lines(backend.embedder, texts)
    queries = [
        SearchQuery(text=text, vector=vector, skills=(gap.skill,))
        for gap, text, vector in zip(gaps, texts, vectors, strict=True)
    ]
    return await backend.index.search(queries, limit=FETCHED_PER_GAP)


async def gaps_of(uow: Repositories, run: RunInput) -> tuple[tuple[SkillGap, ...], tuple[UUID, ...]]:
    """Return the learner's gaps from the scores of this run, and the reviews that the scores include."""
    learner = await uow.catalog.learner(run.assessment_id)
    items = await uow.assessments.items(run.assessment_id)
    scored = await scores(uow, run, items)
    return skill_gaps(learner.role, skill_profile(items, scored.rules, scored.essays)), scored.reviews


def _traces(
    gaps: Sequence[SkillGap], found: Sequence[Sequence[SearchHit]], credentials: dict[UUID, Credential]
) -> tuple[Trace, ...]:
    """Return one trace per gap and credential, in the order of the hits; hits on withdrawn credentials are dropped."""
    active = [[hit for hit in hits if hit.credential_id in credentials][:HITS_PER_GAP] for hits in found]
    return tuple(
        Trace(
            credential_id=hit.credential_id,
            artifact_id=hit.artifact_id,
            skill=gap.skill,
            source_uri=credentials[hit.credential_id].source_uri,
            snippet=_snippet(credentials[hit.credential_id].description),
            similarity=hit.similarity,
        )
        for gap, hits in zip(gaps, active, strict=True)
        for hit in hits
    )


def _snippet(text: str) -> str:
    """Return the beginning of a text, cut between words."""
    return text if len(text) <= SNIPPET_CHARS else text[:SNIPPET_CHARS].rsplit(maxsplit=1)[0] + " …"
