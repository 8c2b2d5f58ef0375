"""Assessments for advisors and admins: the list, its export as CSV, releases, and the page of one assessment."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import ValidationError

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.pages.answer_fields import shown_answer
from api.pages.copy_sources import openable_sources
from api.pages.essay_view import essay_view, score_of
from api.pages.forms import Form, FormDep
from api.pages.lists import choices, filled, read_query
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.staff_texts import APPEAL_STATES, HEALING, NOT_RELEASED, STATES, named
from api.pages.texts import gettext
from api.routes.assessments import AssessmentQuery
from api.schemas.base import Id
from api.schemas.releases import ReleasesRequest
from api.security.authorization import actor_of, may_use
from api.services.after_commit import calls_after_release, calls_after_rerun, calls_after_retry
from api.services.assessed_items import AssessedItem, assessed_items
from api.services.csv_cells import UTF8_MARK, csv_cell, csv_lines
from api.services.releases import MAX_RELEASES, BulkReleaseService, ReleaseService
from api.services.reviews import ReviewService
from api.workflow_engine import notify_all
from domain.assessments.answers import answer_json
from domain.assessments.questions import EssayRubric
from domain.errors import InvalidInput, NotFound, Problem
from persistence.queries.appeal_views import AppealFilter
from persistence.queries.views import AssessmentFilter, ListedAssessment
from persistence.repositories.releases import ReleaseFilter

FILTERS: Final = (
    *("q", "status", "role_id", "cohort_id", "user_id"),
    *("released", "appealed", "needs_review", "degraded"),
)
RELEASABLE: Final = frozenset({"released", "role_id", "user_id", "needs_review"})
"""With only these filters, all held results of the list can be released at once."""
MAX_EXPORTED: Final = 10_000
_EXPORT_PAGE: Final = 1000
_COLUMNS: Final = (
    *("assessment_id", "student", "email", "role", "status", "started_at", "submitted_at", "completed_at"),
    *("revision", "released", "released_at", "needs_review", "reasons", "degraded"),
)

assessments = page_router(prefix="/assessments")


@assessments.get("")
async def assessment_list_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    query = read_query(AssessmentQuery, request.query_params)
    listed = await services.queries.assessments_for_staff(scope, AssessmentFilter(**query.filters()), query.limit + 1)
    shown, next_cursor = query.page(listed, lambda last: last.assessment_id)
    filters = filled(request.query_params, FILTERS)
    return render(
        request,
        "advisor/assessments.html",
        title=gettext("Assessments"),
        listed=shown,
        filters=filters,
        choices=await choices(services, scope),
        states=[(value, gettext(label)) for value, label in STATES.items()],
        state_names=STATES,
        may_release_all=filters.get("released") == "false" and filters.keys() <= RELEASABLE,
        next_cursor=next_cursor,
        is_first=query.cursor is None,
        max_releases=MAX_RELEASES,
        max_exported=MAX_EXPORTED,
    )


@assessments.get("/export")
async def export_assessments_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    """Return the filtered list as CSV, at most 10,000 rows, newest first."""
    found = AssessmentFilter(**read_query(AssessmentQuery, filled(request.query_params, FILTERS)).filters())
    lines = [UTF8_MARK, csv_lines([_COLUMNS])]
    for _ in range(MAX_EXPORTED // _EXPORT_PAGE):
        page = await services.queries.assessments_for_staff(scope, found, _EXPORT_PAGE)
        lines.append(csv_lines(tuple(map(csv_cell, _cells(each))) for each in page))
        if len(page) < _EXPORT_PAGE:
            break
        found = replace(found, after=(page[-1].created_at, page[-1].assessment_id))
    headers = {"Content-Disposition": 'attachment; filename="assessments.csv"', "Cache-Control": "no-store"}
    return Response(b"".join(lines), media_type="text/csv", headers=headers)


@assessments.post("/releases")
async def release_many_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Release the selected results, or after a confirmation all that match the filter; say what was not released."""
    filters = filled(form, FILTERS)
    if form.get("action") == "all":
        if filters.get("released") != "false" or not filters.keys() <= RELEASABLE:
            raise InvalidInput("The request is not valid", (Problem("action", "is not possible with this filter"),))
        async with services.database.transaction() as uow:
            ids = list(await uow.releases.held(scope, _held(filters), MAX_RELEASES + 1))
        if form.get("confirmed") != "yes":
            title = gettext("Release held results")
            return render(
                request, "advisor/release.html", title=title, held=len(ids), most=MAX_RELEASES, filters=filters
            )
    else:
        ids = _selected(form)
        if not ids:
            return see_other("/assessments", **filters, done="nothing_selected")
    outcomes = await BulkReleaseService(services.database, services.webhooks.runs.start).release(
        ids[:MAX_RELEASES], scope, actor_of(principal)
    )
    return render(
        request,
        "advisor/released.html",
        title=gettext("Released results"),
        released=sum(each.reason is None for each in outcomes),
        refused=[(each.assessment_id, named(NOT_RELEASED, each.reason.value)) for each in outcomes if each.reason],
        more=len(ids) > MAX_RELEASES,
        filters=filters,
    )


@assessments.get("/{assessment_id}")
async def staff_assessment_page(
    request: Request, assessment_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """An assessment as advisors see it, also while its result is held: state, items with their history, appeals."""
    graded = await services.queries.graded_items(assessment_id, scope)
    status = await services.queries.status(assessment_id, scope)
    if graded is None or status is None:
        raise NotFound("No such assessment")
    async with services.database.transaction() as uow:
        asked = await uow.assessments.items(assessment_id)
    found = await asyncio.to_thread(assessed_items, graded, asked)
    role = await services.queries.role(status.role_id)
    anonymous = await services.queries.is_anonymous(assessment_id, scope)
    return render(
        request,
        "advisor/assessment.html",
        title=role.name if role else gettext("Assessment"),
        view=status,
        state=named(STATES, status.status),
        anonymous=anonymous,
        student=None if anonymous else await services.pages.advisor.student(status.user_id, scope.organization_id),
        items=[(item, essay_view(item) if _is_answered_essay(item) else None, _shown(item)) for item in found.items],
        openable=await openable_sources(found.items, services, scope),
        score_of=score_of,
        healing=named(HEALING, status.healing),
        appeal_state_names=APPEAL_STATES,
        revisions=await services.queries.revisions(assessment_id, scope),
        appeals=await services.appeals.queries.appeals(scope, AppealFilter(assessment_id=assessment_id), None),
        may_rerun=may_use(principal, "rerun_assessment"),
    )


@assessments.post("/{assessment_id}/release")
async def release_form(assessment_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep) -> Response:
    async with services.database.transaction() as uow:
        receipt = await ReleaseService(uow).release(assessment_id, scope, actor_of(principal))
        await uow.commit()
    await notify_all(calls_after_release(receipt, services))
    return see_other(f"/assessments/{assessment_id}", done="released")


@assessments.post("/{assessment_id}/retry")
async def retry_form(assessment_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep) -> Response:
    """Grade the degraded parts of a result again, now."""
    async with services.database.transaction() as uow:
        assessment = await ReviewService(uow).heal_now(assessment_id, scope, actor_of(principal))
        await uow.commit()
    await notify_all(calls_after_retry(assessment, services))
    return see_other(f"/assessments/{assessment_id}", done="retried")


@assessments.post("/{assessment_id}/rerun")
async def rerun_form(assessment_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep) -> Response:
    async with services.database.transaction() as uow:
        assessment = await ReviewService(uow).rerun(assessment_id, scope, actor_of(principal))
        await uow.commit()
    await notify_all(calls_after_rerun([assessment], services))
    return see_other(f"/assessments/{assessment_id}", done="rerun")


def _held(filters: Mapping[str, str]) -> ReleaseFilter:
    query = read_query(AssessmentQuery, filters)
    return ReleaseFilter(role_id=query.role_id, user_id=query.user_id, needs_review=query.needs_review)


def _selected(form: Form) -> list[UUID]:
    """Return the ids of the selected rows; an empty list without one."""
    ids = [each for name, each in form.items() if name.startswith("id.")]
    try:
        return (ReleasesRequest.model_validate({"ids": ids}).ids or []) if ids else []
    except ValidationError:
        raise InvalidInput("The form is not valid", (Problem("ids", "are not valid"),)) from None


def _shown(item: AssessedItem) -> str:
    answer = item.item.answer
    return "" if answer is None else shown_answer(answer_json(answer))


def _is_answered_essay(item: AssessedItem) -> bool:
    return isinstance(item.item.question.rubric, EssayRubric) and isinstance(item.item.answer, str)


def _cells(view: ListedAssessment) -> Iterator[object]:
    yield from (view.assessment_id, view.student_name, view.student_email, view.role_name, view.status)
    yield from (each.isoformat() if each else None for each in (view.started_at, view.submitted_at, view.completed_at))
    yield from (view.revision or None, view.released, view.released_at.isoformat() if view.released_at else None)
    yield from (view.needs_review, " ".join(view.reasons), view.degraded)
