"""Re-score published results with the current content, read the differences, apply or discard them."""

from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id, QueryInput
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.schemas.rescores import (
    ApplyAck,
    ApplyRequest,
    DifferenceList,
    DifferenceQuery,
    DifferenceResponse,
    RescoreAck,
    RescoreDetail,
    RescoreList,
    RescoreRequest,
    RescoreResponse,
)
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_rescore
from api.services.rescores import RescoreService, RescoreWish, csv_of, stop_message
from api.services.use_cases import require
from api.workflow_engine import notify_all
from domain.rescores.rescores import DifferenceOutcome, RescoreScope, RescoreStatus
from persistence.queries.rescores import DifferenceView, RescoreView
from persistence.request_database import RequestUnitOfWork

rescores = router(prefix="/rescores", tags=["Re-scoring"])


class CsvQuery(QueryInput):
    outcome: DifferenceOutcome | None = Field(default=None, description="Only differences with this outcome")


@rescores.post(
    "",
    status_code=202,
    summary="Compute what results would be now",
    response_description="Stored; a workflow computes the differences",
    response_model=RescoreAck,
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def request_rescore(body: RescoreRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Score completed assessments of the organization again with the current questions, model and catalogue.

    Nothing is published. Reviewers' levels stay. Replies of the language model that were paid for are not paid for
    again; the computation stops when the organization's budget for the day is spent. See docs/reviewing.md.
    """

    async def request(uow: RequestUnitOfWork) -> CommandResult:
        added = await RescoreService(uow).request(scope.organization_id, command.actor, wish_of(body))
        return CommandResult(
            response=RescoreAck(rescore_id=added.id, status=added.status),
            after_commit=calls_after_rescore(added, command.services),
        )

    return await command.execute(request, on_replay=command.services.rescores.runs.start)


@rescores.get("", summary="List re-scores", responses=answers(400, 401, 403))
async def list_rescores(query: Annotated[PageQuery, Query()], services: ServicesDep, scope: ScopeDep) -> RescoreList:
    views = await services.rescores.queries.rescores(scope.organization_id, query.after, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.rescore_id)
    return RescoreList(items=[_response(view) for view in page], next_cursor=next_cursor)


@rescores.get(
    "/{rescore_id}",
    summary="Read a re-score with its progress and summary",
    responses=answers(400, 401, 403, 404),
)
async def read_rescore(rescore_id: Id, services: ServicesDep, scope: ScopeDep) -> RescoreDetail:
    view = await _found(rescore_id, services, scope)
    summary = await services.rescores.queries.summary(rescore_id)
    return RescoreDetail.read(_response(view), summary=summary)


@rescores.get("/{rescore_id}/differences", summary="List the differences", responses=answers(400, 401, 403, 404))
async def list_differences(
    rescore_id: Id, query: Annotated[DifferenceQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> DifferenceList:
    """Differences appear while the computation runs. They are deleted with the data of their student."""
    await _found(rescore_id, services, scope)
    views = await services.rescores.queries.differences(
        rescore_id, outcome=query.outcome, after=query.cursor, limit=query.limit + 1
    )
    page = views[: query.limit]
    more = len(views) > query.limit
    return DifferenceList(
        items=[_difference(view) for view in page], next_cursor=page[-1].assessment_id if more else None
    )


@rescores.get(
    "/{rescore_id}/differences.csv",
    summary="Download the differences as CSV",
    response_class=StreamingResponse,
    response_description="One row per assessment and item",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **answers(400, 401, 403, 404)},
)
async def download_differences(
    rescore_id: Id, query: Annotated[CsvQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> StreamingResponse:
    """UTF-8 with commas. An apostrophe precedes a cell that a spreadsheet program would read as a formula."""
    await _found(rescore_id, services, scope)
    return StreamingResponse(
        csv_of(services.rescores.queries, rescore_id, query.outcome),
        media_type="text/csv",
        headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{rescore_id}.csv"'},
    )


@rescores.post(
    "/{rescore_id}/apply",
    status_code=202,
    summary="Publish differences as revisions",
    response_description="Chosen; a workflow publishes them",
    response_model=ApplyAck,
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def apply_rescore(rescore_id: Id, body: ApplyRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Each assessment gets a new revision and an `assessment.updated` event; the release policy applies.

    A difference is published only as it is shown here. If the assessment has got a newer revision or review since,
    the difference is skipped; request a new re-score for it. 409 unless the re-score is computed or stopped.
    """

    async def apply(uow: RequestUnitOfWork) -> CommandResult:
        found, chosen = await RescoreService(uow).apply(
            rescore_id, scope.organization_id, command.actor, body.assessment_ids
        )
        status = RescoreStatus.APPLYING if chosen else found.status
        return CommandResult(
            response=ApplyAck(rescore_id=rescore_id, status=status, chosen=chosen),
            after_commit=calls_after_rescore(found, command.services) if chosen else (),
        )

    return await command.execute(apply, on_replay=command.services.rescores.runs.start)


@rescores.delete(
    "/{rescore_id}",
    status_code=202,
    summary="Discard a re-score",
    response_description="The differences are being deleted",
    responses=answers(400, 401, 403, 404, 409),
)
async def discard_rescore(
    rescore_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> RescoreAck:
    """Ends a running computation and deletes the differences. Published revisions stay. The request is idempotent.

    409 while differences are being applied.
    """
    async with services.database.transaction() as uow:
        found = await RescoreService(uow).discard(rescore_id, scope.organization_id, actor_of(principal))
        await uow.commit()
    if not found.is_discarded:
        await notify_all(calls_after_rescore(found, services))
    status = found.status if found.is_discarded else RescoreStatus.DISCARDING
    return RescoreAck(rescore_id=rescore_id, status=status)


async def _found(rescore_id: Id, services: ServicesDep, scope: ScopeDep) -> RescoreView:
    return require(await services.rescores.queries.rescore(rescore_id, scope.organization_id), "No such re-score")


def _response(view: RescoreView) -> RescoreResponse:
    return RescoreResponse.read(view, versions=view.versions or None, stop_message=stop_message(view.stop_reason))


def _difference(view: DifferenceView) -> DifferenceResponse:
    return DifferenceResponse.read(view, **view.difference)


def wish_of(sent: RescoreRequest) -> RescoreWish:
    return RescoreWish(
        role_id=sent.role_id,
        question_key=sent.question_key,
        since=sent.since,
        reason=sent.reason,
        scope=RescoreScope(sent.scope),
        versions=sent.versions or (),
    )
