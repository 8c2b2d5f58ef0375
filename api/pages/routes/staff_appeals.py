"""Appeals for advisors and admins: open ones by due time, and the answer to one."""

import asyncio
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import ValidationError

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.copy_sources import openable_sources
from api.pages.essay_view import EssayView, essay_view
from api.pages.forms import Form, FormDep
from api.pages.lists import choices, filled, read_query
from api.pages.problem_texts import translated
from api.pages.rendering import render, see_other
from api.pages.routes.reviews import entered_levels, missing_levels
from api.pages.routing import page_router
from api.pages.staff_texts import APPEAL_STATES
from api.pages.texts import gettext
from api.schemas import cursors
from api.schemas.appeals import MAX_CHARS, AppealAnswerRequest, AppealQuery
from api.schemas.base import Id
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_appeal
from api.services.appeals import AppealAnswer, AppealService
from api.services.assessed_items import assessed_items
from api.workflow_engine import notify_all
from domain.errors import AppError, Conflict, Forbidden, InvalidAssessmentState, NotFound
from persistence.queries.appeal_views import AppealFilter, AppealView
from persistence.queries.views import AccessScope

FILTERS: Final = ("state", "role_id", "overdue")

appeals = page_router(prefix="/appeals")


@appeals.get("")
async def appeal_list_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    """Open appeals, the one whose answer is due first at the top; or closed ones, newest first."""
    filters = {"state": "open"} | filled(request.query_params, FILTERS)
    query = read_query(AppealQuery, dict(request.query_params) | filters)
    found = AppealFilter(state=query.state, role_id=query.role_id, overdue=query.overdue)
    views = await services.pages.advisor.appeals(scope, found, query.after, query.limit + 1)
    shown = views[: query.limit]
    last = shown[-1] if len(views) > query.limit else None
    return render(
        request,
        "advisor/appeals.html",
        title=gettext("Appeals"),
        appeals=shown,
        filters=filters,
        states=[(value, gettext(label)) for value, label in APPEAL_STATES.items()],
        choices=await choices(services, scope),
        next_cursor=cursors.encode(last.answer_due_at if query.state == "open" else last.created_at, last.appeal_id)
        if last
        else None,
        is_first=query.cursor is None,
        now=datetime.now(UTC),
    )


@appeals.get("/{appeal_id}")
async def staff_appeal_page(request: Request, appeal_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    return await _page(request, appeal_id, services, scope)


@appeals.post("/{appeal_id}/answer")
async def answer_appeal_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, appeal_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Uphold the appeal with the chosen levels, or reject it with a message."""
    view, essay = await _read(appeal_id, services, scope)
    answer = _answer(form, essay)
    if isinstance(answer, list):
        return await _page(request, view.appeal_id, services, scope, 400, errors=answer, form=form)
    try:
        async with services.database.transaction() as uow:
            receipt = await AppealService(uow).answer(appeal_id, scope, actor_of(principal), answer)
            await uow.commit()
    except (Conflict, Forbidden, InvalidAssessmentState) as conflict:
        return await _page(request, appeal_id, services, scope, 409, problem=conflict, form=form)
    await notify_all(calls_after_appeal(receipt, services))
    return see_other("/appeals", done="appeal_answered")


def _answer(form: Form, essay: EssayView) -> AppealAnswer | list[tuple[str, str]]:
    """Read the form; a list of errors if something is missing or too long."""
    upheld = form.get("outcome") == "upheld"
    message = form.get("message", "").replace("\r\n", "\n") or None
    levels = entered_levels(form, essay) if upheld else None
    errors = missing_levels(essay, levels) if levels is not None else []
    if form.get("outcome") not in {"upheld", "rejected"}:
        errors = [("outcome", gettext("Choose whether you uphold or reject the appeal."))]
    elif not upheld and not (message or "").strip():
        errors = [("message", gettext("Write to the student why you reject the appeal."))]
    if errors:
        return errors
    try:
        sent = AppealAnswerRequest.model_validate({"outcome": form["outcome"], "levels": levels, "message": message})
    except ValidationError:
        return [("message", gettext("Write at most %(number)d characters.") % {"number": MAX_CHARS})]
    return AppealAnswer(levels=sent.levels, message=sent.message)


async def _read(appeal_id: UUID, services: Services, scope: AccessScope) -> tuple[AppealView, EssayView]:
    view = await services.appeals.queries.appeal(appeal_id, scope)
    graded = await services.queries.graded_items(view.assessment_id, scope) if view else None
    if view is None or graded is None:
        raise NotFound("No such appeal")
    async with services.database.transaction() as uow:
        asked = await uow.assessments.items(view.assessment_id)
    found = await asyncio.to_thread(assessed_items, graded, asked)
    item = next(each for each in found.items if each.item.question.id == view.question_id)
    return view, essay_view(item)


async def _page(  # noqa: PLR0913  # the states of the page
    request: Request,
    appeal_id: UUID,
    services: Services,
    scope: AccessScope,
    status: int = 200,
    *,
    errors: list[tuple[str, str]] | None = None,
    problem: AppError | None = None,
    form: Form | None = None,
) -> Response:
    view, essay = await _read(appeal_id, services, scope)
    role = await services.queries.role(view.role_id)
    return render(
        request,
        "advisor/appeal.html",
        status,
        title=gettext("Appeal"),
        appeal=view,
        role=role.name if role else gettext("Assessment"),
        essay=essay if form is None else essay_view(essay.item, entered_levels(form, essay)),
        openable=await openable_sources([essay.item], services, scope),
        student=await services.pages.advisor.student(view.user_id, scope.organization_id) if view.user_id else None,
        blind=view.user_id is None,
        appeal_state_names=APPEAL_STATES,
        errors=errors or [],
        problem=translated(problem.message) if problem else "",
        outcome=(form or {}).get("outcome", ""),
        message=(form or {}).get("message", ""),
        max_message=MAX_CHARS,
        now=datetime.now(UTC),
    )
