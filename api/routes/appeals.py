"""Open, read, answer and withdraw appeals of essays' grades.

Each request commits before it calls the workflow engine. Reconciliation repeats a failed call.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import Query, Response

from api.dependencies import ScopeDep, Services, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.appeals import Appeal, AppealAnswerRequest, AppealList, AppealQuery, AppealRequest
from api.schemas.base import Id
from api.schemas.errors import answers
from api.services.after_commit import calls_after_appeal
from api.services.appeals import AppealAnswer, AppealReceipt, AppealService
from api.services.use_cases import require
from api.workflow_engine import follow_appeal
from domain.errors import NotFound
from persistence.queries.appeal_views import AppealFilter, AppealView
from persistence.queries.views import AccessScope
from persistence.request_database import RequestUnitOfWork

assessment_appeals = router(prefix="/assessments", tags=["Appeals"])
appeals = router(prefix="/appeals", tags=["Appeals"])


@assessment_appeals.post(
    "/{assessment_id}/appeals",
    status_code=201,
    summary="Appeal the grade of an essay",
    response_model=Appeal,
    response_description="Appeal opened",
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def open_appeal(assessment_id: Id, body: AppealRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Only essays can be appealed. A rule scores the other questions in the same way for everybody.

    409 if the time for appeals is over, if the question has an open appeal (`details.appeal_id`), or if the student has
    used all appeals of the role. The organization's settings have the limits: `appeal_window_days`, `appeals_per_role`.
    """

    async def store(uow: RequestUnitOfWork) -> CommandResult:
        receipt = await AppealService(uow).open(assessment_id, body.question_id, body.reason, scope, command.actor)
        return _result(receipt, command.services, scope)

    return await command.execute(store, on_replay=partial(follow_appeal, command.services.appeals.runs))


@assessment_appeals.get(
    "/{assessment_id}/appeals",
    summary="List the appeals of an assessment",
    responses=answers(400, 401, 403, 404),
)
async def list_assessment_appeals(assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> AppealList:
    """Newest first, on one page."""
    views = await services.appeals.queries.appeals(scope, AppealFilter(assessment_id=assessment_id), None)
    if not views and await services.queries.status(assessment_id, scope) is None:
        raise NotFound("No such assessment")
    return AppealList(items=_shown(views, scope))


@appeals.get("", summary="List appeals", responses=answers(400, 401, 403))
async def list_appeals(query: Annotated[AppealQuery, Query()], services: ServicesDep, scope: ScopeDep) -> AppealList:
    """List a student's own appeals, or for advisors and admins those of the organization. Newest first."""
    filters = AppealFilter(**query.filters())
    views = await services.appeals.queries.appeals(scope, filters, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.appeal_id)
    return AppealList(items=_shown(page, scope), next_cursor=next_cursor)


@appeals.get("/{appeal_id}", summary="Read an appeal", responses=answers(400, 401, 403, 404))
async def read_appeal(appeal_id: Id, services: ServicesDep, scope: ScopeDep) -> Appeal:
    view = require(await services.appeals.queries.appeal(appeal_id, scope), "No such appeal")
    return _appeal(view, scope)


@appeals.post(
    "/{appeal_id}/answer",
    status_code=200,
    summary="Answer an appeal",
    response_model=Appeal,
    response_description="Answered. A later revision of the result contains the levels of an upheld appeal",
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def answer_appeal(appeal_id: Id, body: AppealAnswerRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """`upheld` reviews the essay with the given levels. 409 if the appeal is closed already.

    403 if the caller reviewed this essay last, unless the organization has no other active advisor or admin.
    """
    answer = AppealAnswer(levels=body.levels, message=body.message)

    async def store(uow: RequestUnitOfWork) -> CommandResult:
        receipt = await AppealService(uow).answer(appeal_id, scope, command.actor, answer)
        return _result(receipt, command.services, scope)

    return await command.execute(store, on_replay=partial(follow_appeal, command.services.appeals.runs))


@appeals.post(
    "/{appeal_id}/withdrawal",
    status_code=200,
    summary="Withdraw an appeal",
    response_model=Appeal,
    response_description="Withdrawn",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def withdraw_appeal(appeal_id: Id, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """409 if the appeal is closed already. A withdrawn appeal counts towards `appeals_per_role`."""

    async def store(uow: RequestUnitOfWork) -> CommandResult:
        return _result(await AppealService(uow).withdraw(appeal_id, scope, command.actor), command.services, scope)

    return await command.execute(store, on_replay=partial(follow_appeal, command.services.appeals.runs))


def _result(receipt: AppealReceipt, services: Services, scope: AccessScope) -> CommandResult:
    return CommandResult(response=_appeal(receipt.view, scope), after_commit=calls_after_appeal(receipt, services))


def _shown(views: Sequence[AppealView], scope: AccessScope) -> list[Appeal]:
    return [_appeal(view, scope) for view in views]


def _appeal(view: AppealView, scope: AccessScope) -> Appeal:
    """Convert a view. Students do not see who answered."""
    appeal = Appeal.model_validate(view)
    return appeal if scope.user_id is None else appeal.model_copy(update={"answered_by": None})
