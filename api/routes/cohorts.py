"""Cohorts: named groups of an organization's students."""

from typing import Annotated

from fastapi import Query, Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id
from api.schemas.cohorts import AddedMembers, Cohort, CohortList, CohortMember, CohortMemberList, CohortRequest
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.security.authorization import actor_of
from api.services.use_cases import require
from persistence.request_database import RequestUnitOfWork

cohorts = router(prefix="/cohorts", tags=["Cohorts"])


@cohorts.post(
    "",
    status_code=201,
    response_model=Cohort,
    summary="Create a cohort",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def create_cohort(body: CohortRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """409 if another cohort of the organization has the name."""

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        view = await uow.cohorts.create(scope.organization_id, command.actor, body.name)
        return CommandResult(response=Cohort.model_validate(view))

    return await command.execute(create)


@cohorts.get("", summary="List cohorts", responses=answers(400, 401, 403))
async def list_cohorts(query: Annotated[PageQuery, Query()], services: ServicesDep, scope: ScopeDep) -> CohortList:
    """The organization's cohorts, newest first."""
    views = await services.people.cohorts.cohorts(scope.organization_id, query.after, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.cohort_id)
    return CohortList(items=[Cohort.model_validate(view) for view in page], next_cursor=next_cursor)


@cohorts.get("/{cohort_id}", summary="Read a cohort", responses=answers(400, 401, 403, 404))
async def read_cohort(cohort_id: Id, services: ServicesDep, scope: ScopeDep) -> Cohort:
    return await _cohort(cohort_id, services, scope)


@cohorts.patch("/{cohort_id}", summary="Rename a cohort", responses=answers(400, 401, 403, 404, 409, 413, 415))
async def rename_cohort(
    cohort_id: Id, body: CohortRequest, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Cohort:
    """409 if another cohort of the organization has the name."""
    async with services.database.transaction() as uow:
        view = await uow.cohorts.rename(cohort_id, scope.organization_id, actor_of(principal), body.name)
        await uow.commit()
    return Cohort.model_validate(view)


@cohorts.delete("/{cohort_id}", status_code=204, summary="Delete a cohort", responses=answers(400, 401, 403, 404))
async def delete_cohort(cohort_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep) -> None:
    """Its students and their assessments stay."""
    async with services.database.transaction() as uow:
        await uow.cohorts.delete(cohort_id, scope.organization_id, actor_of(principal))
        await uow.commit()


@cohorts.get("/{cohort_id}/members", summary="List the members of a cohort", responses=answers(400, 401, 403, 404))
async def list_cohort_members(
    cohort_id: Id, query: Annotated[PageQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> CohortMemberList:
    """The last added first."""
    await _cohort(cohort_id, services, scope)
    views = await services.people.cohorts.members(cohort_id, query.after, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.user_id)
    return CohortMemberList(items=[CohortMember.model_validate(view) for view in page], next_cursor=next_cursor)


@cohorts.post(
    "/{cohort_id}/members",
    response_model=Cohort,
    summary="Add students to a cohort",
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def add_cohort_members(cohort_id: Id, body: AddedMembers, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Add all students or none. Those who are members already stay members."""

    async def add(uow: RequestUnitOfWork) -> CommandResult:
        view = await uow.cohorts.add_members(cohort_id, scope.organization_id, command.actor, body.user_ids)
        return CommandResult(response=Cohort.model_validate(view))

    return await command.execute(add)


@cohorts.delete(
    "/{cohort_id}/members/{user_id}",
    status_code=204,
    summary="Remove a student from a cohort",
    responses=answers(400, 401, 403, 404),
)
async def remove_cohort_member(
    cohort_id: Id, user_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> None:
    """404 if the student is not a member."""
    async with services.database.transaction() as uow:
        await uow.cohorts.remove_member(cohort_id, scope.organization_id, actor_of(principal), user_id)
        await uow.commit()


async def _cohort(cohort_id: Id, services: ServicesDep, scope: ScopeDep) -> Cohort:
    view = require(await services.people.cohorts.cohort(cohort_id, scope.organization_id), "No such cohort")
    return Cohort.model_validate(view)
