"""Probe a provider with the work of one waiting result.

A probe of the language model requests a completion that the result needs anyway. The reply is stored in the ledger, so
it is not paid for again.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity

from activities.essays import essay_of
from activities.failures import code_of
from activities.retrieve_evidence import RetrieveEvidence, gaps_of
from activities.score_essay import ScoreEssay
from activities.steps import RunInput
from domain.database import Database
from domain.errors import AppError, ExternalServiceError, StorageUnavailable
from domain.healing import Provider

CANDIDATES: Final = 5
"""Results that one probe may try. Another one is tried only if a result has a problem of its own."""
MOST_COUNTED: Final = 1000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeInput:
    """Only results after the assessment `after` are counted and tried."""

    organization_id: UUID
    after: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`waiting` counts the waiting results, up to MOST_COUNTED. `failure` is None if the provider answers.

    `retry_after_s` is the wait that the provider asks for.
    """

    waiting: int
    failure: str | None = None
    retry_after_s: float = 0.0


class ProbeModel:
    def __init__(self, database: Database, essays: ScoreEssay) -> None:
        self._database = database
        self._essays = essays

    @activity.defn
    async def probe_model(self, wanted: ProbeInput) -> Probe:
        """Request one completion for the essay of a waiting result."""
        return await _probed(self._database, Provider.LANGUAGE_MODEL, wanted, self._grade)

    async def _grade(self, assessment_id: UUID) -> None:
        async with self._database.statement() as uow:
            published = await uow.results.published(assessment_id)
            epochs = await uow.model_answers.epochs(assessment_id)
            items = await uow.assessments.items(assessment_id)
        for score in published.scores.essays:
            if score.degraded_reason and score.degraded_reason.heals:
                essay = essay_of(items, score.snapshot_id)
                await self._essays.grade(assessment_id, essay, epochs.get(score.snapshot_id, 0))
                return


class ProbeSearch:
    def __init__(self, database: Database, retrieval: RetrieveEvidence) -> None:
        self._database = database
        self._retrieval = retrieval

    @activity.defn
    async def probe_search(self, wanted: ProbeInput) -> Probe:
        """Search for the skill gaps of a waiting result."""
        return await _probed(self._database, Provider.SEARCH, wanted, self._search)

    async def _search(self, assessment_id: UUID) -> None:
        async with self._database.statement() as uow:
            assessment = await uow.assessments.get(assessment_id)
            run = RunInput(assessment_id=assessment_id, run=assessment.run, revision=assessment.revision + 1)
            gaps, _ = await gaps_of(uow, run)
        evidence = await self._retrieval.evidence(gaps)
        if evidence.degraded_reason:
            raise ExternalServiceError(evidence.degraded_reason.text)


async def _probed(
    database: Database, provider: Provider, wanted: ProbeInput, work: Callable[[UUID], Awaitable[None]]
) -> Probe:
    """Do the work of one waiting result. If every candidate has a problem of its own, the provider counts as working.

    The waiting runs then find out alone, each with its own growing pauses.
    """
    async with database.statement() as uow:
        waiting = await uow.degraded_results.waiting(
            provider, wanted.organization_id, after=wanted.after, limit=MOST_COUNTED
        )
    # Random, so that a result that always fails does not block the others.
    for assessment_id in random.sample(waiting, min(CANDIDATES, len(waiting))):
        try:
            await work(assessment_id)
        except StorageUnavailable:
            raise
        except ExternalServiceError as error:
            failure = f"{type(error).__name__}: {error.message}"
            return Probe(waiting=len(waiting), failure=failure, retry_after_s=error.retry_after_s or 0.0)
        except AppError as error:
            log.info("probe_skipped", assessment_id=str(assessment_id), error=code_of(error))
        else:
            break
    return Probe(waiting=len(waiting))
