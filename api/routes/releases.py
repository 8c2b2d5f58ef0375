"""Release held results to students and partners."""

from fastapi import Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id
from api.schemas.errors import answers
from api.schemas.releases import HeldResults, ReleaseResponse, ReleasesRequest, ReleasesResponse, Unreleased
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_release
from api.services.releases import MAX_RELEASES, BulkReleaseService, ReleaseService
from persistence.repositories.releases import ReleaseFilter
from persistence.request_database import RequestUnitOfWork

releases = router(prefix="/assessments", tags=["Assessments"])


@releases.post(
    "/{assessment_id}/release",
    summary="Release a held result",
    response_model=ReleaseResponse,
    response_description="The student and partners see the result",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def release_assessment(assessment_id: Id, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """A released result does not change. 409 without a result, and while a review of it is being published."""

    async def release(uow: RequestUnitOfWork) -> CommandResult:
        receipt = await ReleaseService(uow).release(assessment_id, scope, command.actor)
        released = ReleaseResponse(
            assessment_id=assessment_id,
            revision=receipt.assessment.revision,
            released=True,
            released_at=receipt.released_at,
        )
        return CommandResult(response=released, after_commit=calls_after_release(receipt, command.services))

    return await command.execute(release)


@releases.post(
    "/releases",
    summary="Release many held results",
    response_description="What was released, and what was not and why",
    responses=answers(400, 401, 403, 413, 415),
)
async def release_assessments(
    body: ReleasesRequest, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> ReleasesResponse:
    """Each result has its own transaction. A repeated request releases only results that are still held.

    An `Idempotency-Key` has no effect: a stored response would hide the results that a repeated request can release.
    """
    ids, more = body.ids or [], False
    if body.filter is not None:
        async with services.database.transaction() as uow:
            ids = await uow.releases.held(scope, _filter(body.filter), MAX_RELEASES + 1)
        ids, more = ids[:MAX_RELEASES], len(ids) > MAX_RELEASES
    service = BulkReleaseService(services.database, services.webhooks.runs.start)
    outcomes = await service.release(ids, scope, actor_of(principal))
    return ReleasesResponse(
        released=[each.assessment_id for each in outcomes if each.reason is None],
        not_released=[
            Unreleased(
                assessment_id=each.assessment_id,
                reason=each.reason.value,
                error_code=each.error and each.error.code,
                message=each.error and each.error.message,
            )
            for each in outcomes
            if each.reason
        ],
        more=more,
    )


def _filter(held: HeldResults) -> ReleaseFilter:
    return ReleaseFilter(**held.model_dump())
