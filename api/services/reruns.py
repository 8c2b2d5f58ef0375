"""Run many failed assessments again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from api.services.item_errors import ItemError, item_error
from api.services.reviews import ReviewService
from domain.assessments.lifecycle import EXPIRED, Assessment
from domain.errors import InvalidAssessmentState, NotFound
from persistence.database import storage_failure
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.failed_assessments import FailureFilter
from persistence.request_database import RequestUnitOfWork


class Skipped(StrEnum):
    """Why an assessment is not run again. `error`: an unexpected error about this assessment."""

    NOT_FOUND = "not_found"
    NOT_FAILED = "not_failed"
    EXPIRED = "expired"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reruns:
    """The assessments that are run again, and why the others are not. `more`: the filter matches more.

    `errors` has an entry for each assessment that is skipped because of an error.
    """

    rerun: tuple[Assessment, ...]
    skipped: Mapping[UUID, Skipped]
    errors: Mapping[UUID, ItemError]
    more: bool = False


class RerunService:
    """Use cases of one transaction. The caller commits and then notifies the workflow engine."""

    def __init__(self, uow: RequestUnitOfWork, scope: AccessScope, actor: Actor) -> None:
        self._uow = uow
        self._scope = scope
        self._actor = actor

    async def rerun(self, assessment_ids: Iterable[UUID]) -> Reruns:
        """Start the next run of each failed assessment. The locks are taken in the order of the ids.

        An unexpected error undoes the writes about its assessment only. An error of the connection is raised.
        """
        rerun: list[Assessment] = []
        skipped: dict[UUID, Skipped] = {}
        errors: dict[UUID, ItemError] = {}
        for assessment_id in sorted(set(assessment_ids)):
            try:
                async with self._uow.savepoint():
                    after = await ReviewService(self._uow).rerun(assessment_id, self._scope, self._actor)
            except NotFound:
                skipped[assessment_id] = Skipped.NOT_FOUND
            except InvalidAssessmentState:
                skipped[assessment_id] = await self._reason(assessment_id)
            except Exception as error:
                if storage_failure(error):
                    raise
                skipped[assessment_id] = Skipped.ERROR
                errors[assessment_id] = item_error("rerun_failed", error, assessment_id=str(assessment_id))
            else:
                rerun.append(after)
        return Reruns(rerun=tuple(rerun), skipped=skipped, errors=errors)

    async def rerun_matching(self, wanted: FailureFilter, limit: int) -> Reruns:
        """Start the next run of at most `limit` assessments that match, oldest failures first."""
        found = await self._uow.failed_assessments.matching(wanted, limit + 1)
        return replace(await self.rerun(found[:limit]), more=len(found) > limit)

    async def _reason(self, assessment_id: UUID) -> Skipped:
        assessment = await self._uow.assessments.get(assessment_id)
        return Skipped.EXPIRED if assessment.failure_reason == EXPIRED else Skipped.NOT_FAILED
