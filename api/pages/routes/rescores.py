"""Re-scores for advisors and admins: request a dry run, read its differences, apply or discard them."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.difference_view import question_ids, shown_differences
from api.pages.form_errors import REFUSALS, FieldErrors, field_errors
from api.pages.forms import Form, FormDep
from api.pages.lists import filled, read_query
from api.pages.permissions import may_open
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.send_once import is_first
from api.pages.staff_texts import OUTCOMES, RESCORE_SCOPES, RESCORE_STATES, SKIP_REASONS
from api.pages.texts import gettext
from api.routes.rescores import wish_of
from api.schemas.base import Id
from api.schemas.cursors import PageQuery
from api.schemas.rescores import ApplyRequest, DifferenceQuery, RescoreRequest
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_rescore
from api.services.csv_cells import UTF8_MARK
from api.services.rescores import RescoreService, RescoreWish, csv_of, stop_message
from api.services.use_cases import require
from api.workflow_engine import notify_all
from domain.errors import Conflict, InvalidInput, Problem
from domain.rescores.rescores import DifferenceOutcome, RescoreScope, RescoreStatus
from persistence.queries.rescores import RescoreView
from persistence.queries.views import AccessScope

APPLICABLE: Final = frozenset({RescoreStatus.COMPUTED, RescoreStatus.STOPPED, RescoreStatus.APPLYING})
DISCARDABLE: Final = frozenset(
    {RescoreStatus.QUEUED, RescoreStatus.COMPUTING, RescoreStatus.COMPUTED, RescoreStatus.STOPPED}
)

_SUBJECTS: Final = frozenset({"role_id", "question_key"})

rescores = page_router(prefix="/rescores")


@rescores.get("")
async def rescore_list_page(
    request: Request, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    query = read_query(PageQuery, request.query_params)
    views = await services.rescores.queries.rescores(scope.organization_id, query.after, query.limit + 1)
    shown, next_cursor = query.page(views, lambda last: last.rescore_id)
    return render(
        request,
        "advisor/rescores.html",
        title=gettext("Re-scores"),
        rescores=shown,
        roles={role.id: role.name for role in await services.queries.roles()},
        may_request=may_open(principal, "new_rescore_page"),
        next_cursor=next_cursor,
        is_first=query.cursor is None,
        **_names(),
    )


@rescores.get("/new")
async def new_rescore_page(request: Request, services: ServicesDep) -> Response:
    """The form. `role_id` or `question_key` in the query selects what to re-score."""
    given = filled(request.query_params, ("role_id", "question_key"))
    subject = next((f"{name}:{value}" for name, value in given.items()), "")
    return await _new(request, services, {"subject": subject, "scope": RescoreScope.RULES})


@rescores.post("/new")
async def request_rescore_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Start a dry run."""
    try:
        wish = _wish(form)
        async with services.database.transaction() as uow:
            if not await is_first(uow, request, principal, form):
                return see_other("/rescores", done="already_sent")
            added = await RescoreService(uow).request(scope.organization_id, actor_of(principal), wish)
            await uow.commit()
    except REFUSALS as error:
        return await _new(request, services, form, _errors(error))
    await notify_all(calls_after_rescore(added, services))
    return see_other(f"/rescores/{added.id}", done="rescore_requested")


@rescores.get("/{rescore_id}")
async def rescore_page(
    request: Request, rescore_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Progress, summary and differences; changed results unless `outcome` names others."""
    view = await _found(rescore_id, services, scope)
    query = read_query(DifferenceQuery, request.query_params)
    outcome = query.outcome or DifferenceOutcome.CHANGED
    pages = services.pages.rescores
    listed = await pages.differences(rescore_id, scope.organization_id, outcome, query.cursor, query.limit + 1)
    shown = listed[: query.limit]
    asked = await pages.asked(question_ids(shown))
    open_changes = await pages.open_changes(rescore_id)
    return render(
        request,
        "advisor/rescore.html",
        title=gettext("Re-score of %(subject)s") % {"subject": await _subject(view, services)},
        differences=shown_differences(shown, asked),
        outcome=outcome,
        outcomes=await pages.outcomes(rescore_id),
        open_changes=open_changes,
        may_apply=may_open(principal, "apply_rescore_form") and view.status in APPLICABLE,
        may_discard=may_open(principal, "discard_rescore_form") and view.status in DISCARDABLE,
        next_cursor=shown[-1].assessment_id if len(listed) > query.limit else None,
        is_first=query.cursor is None,
        **await _progress(view, services),
    )


@rescores.get("/{rescore_id}/progress")
async def rescore_progress(request: Request, rescore_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """The part of the page that is loaded again while a workflow runs. At the end, it reloads the whole page."""
    view = await _found(rescore_id, services, scope)
    part = render(request, "advisor/_rescore_progress.html", **await _progress(view, services))
    if not RescoreStatus(view.status).is_working:
        part.headers["HX-Refresh"] = "true"
    return part


@rescores.get("/{rescore_id}/differences.csv")
async def download_differences_page(
    request: Request, rescore_id: Id, services: ServicesDep, scope: ScopeDep
) -> StreamingResponse:
    await _found(rescore_id, services, scope)
    query = read_query(DifferenceQuery, filled(request.query_params, ("outcome",)))

    async def lines() -> AsyncIterator[bytes]:
        yield UTF8_MARK
        async for each in csv_of(services.rescores.queries, rescore_id, query.outcome):
            yield each

    return StreamingResponse(
        lines(),
        media_type="text/csv",
        headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{rescore_id}.csv"'},
    )


@rescores.post("/{rescore_id}/apply")
async def apply_rescore_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, rescore_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Explain what applying does; after the confirmation, apply all changes or the selected ones."""
    view = await _found(rescore_id, services, scope)
    chosen = None if form.get("action") == "all" else _selected(form)
    if form.get("confirmed") != "yes":
        async with services.database.transaction() as uow:
            settings = await uow.organizations.settings(scope.organization_id)
        return render(
            request,
            "advisor/apply_rescore.html",
            title=gettext("Apply the changes?"),
            rescore=view,
            chosen=chosen,
            changes=await services.pages.rescores.open_changes(rescore_id, chosen),
            policy=settings.release.value,
        )
    try:
        async with services.database.transaction() as uow:
            found, number = await RescoreService(uow).apply(
                rescore_id, scope.organization_id, actor_of(principal), chosen
            )
            await uow.commit()
    except Conflict:
        return see_other(f"/rescores/{rescore_id}", done="rescore_changed")
    if number:
        await notify_all(calls_after_rescore(found, services))
    return see_other(f"/rescores/{rescore_id}", done="rescore_applied" if number else "rescore_nothing")


@rescores.post("/{rescore_id}/discard")
async def discard_rescore_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, rescore_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Ask for a confirmation, then delete the differences."""
    view = await _found(rescore_id, services, scope)
    if form.get("confirmed") != "yes":
        return render(request, "advisor/discard_rescore.html", title=gettext("Discard the re-score?"), rescore=view)
    try:
        async with services.database.transaction() as uow:
            found = await RescoreService(uow).discard(rescore_id, scope.organization_id, actor_of(principal))
            await uow.commit()
    except Conflict:
        return see_other(f"/rescores/{rescore_id}", done="rescore_changed")
    if not found.is_discarded:
        await notify_all(calls_after_rescore(found, services))
    return see_other(f"/rescores/{rescore_id}", done="rescore_discarded")


async def _found(rescore_id: UUID, services: Services, scope: AccessScope) -> RescoreView:
    return require(await services.rescores.queries.rescore(rescore_id, scope.organization_id), "No such re-score")


async def _progress(view: RescoreView, services: Services) -> dict[str, Any]:
    return {
        "rescore": view,
        "is_working": RescoreStatus(view.status).is_working,
        "stopped_because": stop_message(view.stop_reason),
        "summary": await services.rescores.queries.summary(view.rescore_id),
        **_names(),
    }


async def _subject(view: RescoreView, services: Services) -> str:
    """Return the name of the role, or the key of the question."""
    if view.role_id is None:
        return gettext("question %(key)s") % {"key": view.question_key}
    role = await services.queries.role(view.role_id)
    return role.name if role else gettext("a role that was withdrawn")


async def _new(
    request: Request, services: Services, given: Mapping[str, str], errors: FieldErrors | None = None
) -> Response:
    return render(
        request,
        "advisor/new_rescore.html",
        400 if errors else 200,
        title=gettext("New re-score"),
        roles=[(f"role_id:{role.id}", role.name) for role in await services.queries.roles()],
        questions=await services.pages.rescores.questions(),
        given={name: given.get(name, "") for name in ("subject", "scope", "since", "versions", "reason")},
        errors=errors or [],
    )


def _wish(form: Form) -> RescoreWish:
    """Read the form; raise ValidationError or InvalidInput for a wrong field."""
    name, _, value = form.get("subject", "").partition(":")
    if name not in _SUBJECTS:
        raise InvalidInput("The form is not valid", (Problem("role_id", gettext("choose a role or a question")),))
    since = form.get("since", "").strip()
    sent = RescoreRequest.model_validate(
        {
            "role_id": value if name == "role_id" else None,
            "question_key": value if name == "question_key" else None,
            "since": f"{since}T00:00:00Z" if since else None,
            "reason": form.get("reason", "").replace("\r\n", "\n"),
            "scope": form.get("scope", ""),
            "versions": form.get("versions", "").split() or None,
        }
    )
    return wish_of(sent)


def _selected(form: Form) -> list[UUID]:
    """Return the ids of the selected rows; an empty list without one."""
    ids = [value for name, value in form.items() if name.startswith("id.")]
    try:
        return list(ApplyRequest.model_validate({"assessment_ids": ids}).assessment_ids or ()) if ids else []
    except ValidationError:
        raise InvalidInput("The form is not valid", (Problem("ids", "are not valid"),)) from None


def _errors(error: Exception) -> FieldErrors:
    labels = {
        "role_id": gettext("What to score again"),
        "question_key": gettext("What to score again"),
        "since": gettext("Completed since"),
        "reason": gettext("Reason"),
        "scope": gettext("Scope"),
        "versions": gettext("Question versions"),
    }
    found = field_errors(error, labels)
    return [("subject" if field in _SUBJECTS else field, message) for field, message in found]


def _names() -> dict[str, Any]:
    return {
        "state_names": RESCORE_STATES,
        "scope_names": RESCORE_SCOPES,
        "outcome_names": OUTCOMES,
        "skip_names": SKIP_REASONS,
    }
