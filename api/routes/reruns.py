"""Run many failed assessments again, for example after a bug was corrected."""

from uuid import UUID

from fastapi import Response

from api.dependencies import ScopeDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.errors import answers
from api.schemas.reruns import RerunsRequest, RerunsResponse, SkippedRerun, StartedRerun
from api.services.after_commit import calls_after_rerun
from api.services.item_errors import ItemError
from api.services.reruns import RerunService, Skipped
from persistence.repositories.failed_assessments import FailureFilter
from persistence.request_database import RequestUnitOfWork

reruns = router(prefix="/assessments", tags=["Assessments"])


@reruns.post(
    "/reruns",
    status_code=202,
    summary="Run many failed assessments again",
    response_model=RerunsResponse,
    response_description="The results are being prepared",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def rerun_assessments(body: RerunsRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """At most 1,000. A repeated request reruns nothing twice: assessments that run again have not failed.

    An unexpected error about one assessment skips that assessment only.

    A filter does not match assessments that expired without an answer, because they cannot be run again.
    """
    wanted = FailureFilter(
        organization_id=scope.organization_id,
        failure_reason=body.failure_reason,
        role_id=body.role_id,
        since=body.since,
    )

    async def rerun(uow: RequestUnitOfWork) -> CommandResult:
        service = RerunService(uow, scope, command.actor)
        if body.assessment_ids is None:
            done = await service.rerun_matching(wanted, body.limit)
        else:
            done = await service.rerun(body.assessment_ids)
        response = RerunsResponse(
            rerun=[StartedRerun(assessment_id=each.id, run=each.run) for each in done.rerun],
            skipped=[_skipped(id_, reason, done.errors.get(id_)) for id_, reason in done.skipped.items()],
            more=done.more,
        )
        return CommandResult(response=response, after_commit=calls_after_rerun(done.rerun, command.services))

    return await command.execute(rerun)


def _skipped(assessment_id: UUID, reason: Skipped, error: ItemError | None) -> SkippedRerun:
    return SkippedRerun(
        assessment_id=assessment_id,
        reason=reason.value,
        error_code=error and error.code,
        message=error and error.message,
    )
