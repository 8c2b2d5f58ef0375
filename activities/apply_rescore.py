"""Publish the chosen differences of a re-score, each assessment in one transaction."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from activities.publish_result import publish_revision
from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.results import Publication
from domain.database import Database, Repositories
from domain.errors import CorruptData, Erased, ExternalServiceError, InvalidAssessmentState, InvalidInput, NotFound
from domain.rescores.ports import ChosenDifference
from domain.rescores.rescores import SkipReason
from domain.webhooks.deliveries import Delivery
from domain.webhooks.ports import DeliveryRuns

AT_ONCE: Final = 50
"""Differences per execution of the activity."""

log = structlog.get_logger(__name__)


class RescoreApplication:
    def __init__(self, database: Database, deliveries: DeliveryRuns) -> None:
        self._database = database
        self._deliveries = deliveries

    async def apply_next(self, rescore_id: UUID) -> None:
        """Publish the next chosen differences, or end the application if none is left.

        A difference is published only as it was shown: if its assessment has a newer revision or review, it is
        skipped. The status of each difference changes in the transaction that publishes, so none is published twice.
        """
        async with self._database.statement() as uow:
            chosen = await uow.rescores.next_chosen(rescore_id, AT_ONCE)
        for assessment_id in chosen:
            await self._apply(rescore_id, assessment_id)
        if not chosen:
            async with self._database.statement() as uow:
                await uow.rescores.end_application(rescore_id)

    async def _apply(self, rescore_id: UUID, assessment_id: UUID) -> None:
        try:
            publication = await self._publish(rescore_id, assessment_id)
        except (NotFound, Erased):  # the erasure deletes the difference
            await self._skip(rescore_id, assessment_id, SkipReason.NOT_PUBLISHABLE)
        except (CorruptData, InvalidAssessmentState, InvalidInput) as error:
            log.warning("rescore_not_publishable", assessment_id=str(assessment_id), error=type(error).__name__)
            await self._skip(rescore_id, assessment_id, SkipReason.NOT_PUBLISHABLE)
        else:
            await self._start(publication.deliveries if publication else ())

    async def _publish(self, rescore_id: UUID, assessment_id: UUID) -> Publication | None:
        """Publish a difference unless it is outdated. Return None if nothing was published."""
        async with self._database.transaction() as uow:
            assessment, now = await uow.assessments.lock(assessment_id)
            chosen = await uow.rescores.chosen(rescore_id, assessment_id)
            if chosen is None:
                return None
            publication = None
            reason = await _outdated(uow, assessment, chosen)
            if reason:
                await uow.rescores.skipped(rescore_id, assessment_id, reason)
            else:
                publication = await publish_revision(uow, assessment, now, chosen.proposal.result)
                await uow.rescores.applied(rescore_id, assessment_id, publication.revision, chosen.proposal)
            await uow.commit()
        return publication

    async def _skip(self, rescore_id: UUID, assessment_id: UUID, reason: SkipReason) -> None:
        async with self._database.statement() as uow:
            await uow.rescores.skipped(rescore_id, assessment_id, reason)

    async def _start(self, deliveries: tuple[Delivery, ...]) -> None:
        """Start the deliveries of the event. Reconciliation starts those that the engine does not accept now."""
        started = await asyncio.gather(*map(self._deliveries.start, deliveries), return_exceptions=True)
        for each in started:
            if isinstance(each, BaseException) and not isinstance(each, ExternalServiceError):
                raise each


async def _outdated(uow: Repositories, assessment: Assessment, chosen: ChosenDifference) -> SkipReason | None:
    """Return why the assessment is no longer the one that was compared."""
    base = (AssessmentStatus.COMPLETED, chosen.run, chosen.revision)
    if (assessment.status, assessment.run, assessment.revision) != base:
        return SkipReason.NEWER_REVISION
    reviews = {review.id for review in await uow.reviews.of(assessment.id)}
    return None if reviews <= set(chosen.proposal.scores.reviews) else SkipReason.NEWER_REVIEW
