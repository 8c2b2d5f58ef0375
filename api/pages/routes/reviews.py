"""The review desk: the queue of essays that wait for a reviewer, and one essay with its rubric to decide."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.responses import JSONResponse

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.copy_sources import openable_sources
from api.pages.essay_view import EssayView, essay_view
from api.pages.forms import Form, FormDep
from api.pages.lists import choices, filled, read_query
from api.pages.problem_texts import translated
from api.pages.release_offer import DecidedQuery, ReleaseOffer, release_offer
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.staff_texts import REASONS
from api.pages.texts import gettext
from api.schemas.base import Id
from api.schemas.review_queue import DecisionRequest, QueueQuery
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_review
from api.services.assessed_items import assessed_items
from api.services.review_claims import ReviewClaimService
from api.services.reviews import Judgement
from api.workflow_engine import notify_all
from domain.errors import AppError, Conflict, InvalidAssessmentState, NotFound
from domain.organizations import OrganizationSettings
from persistence.queries.appeal_views import AppealFilter
from persistence.queries.review_queue import QueueItemView
from persistence.queries.views import AccessScope, Actor

FILTERS: Final = ("reason", "role_id", "cohort_id", "order")
"""The fields of the filter. Links and forms of the desk carry them, so that "next" continues with the same filter."""
MAX_COMMENT_CHARS: Final = 4000

reviews = page_router(prefix="/reviews")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """An essay on the desk. `waiting` None: it does not wait for a review. `appeal_id`: its open appeal.

    `held`: the student does not see the newest version of the result. `openable` has the assessments
    with sources of a copied answer that the reviewer may open.
    """

    item_id: UUID
    assessment_id: UUID
    revision: int
    held: bool
    waiting: QueueItemView | None
    essay: EssayView
    role: str
    blind: bool
    appeal_id: UUID | None
    openable: frozenset[UUID]
    now: datetime

    def is_claimed_by(self, user_id: UUID) -> bool:
        return self.waiting is not None and self.waiting.claimed_by == user_id


@reviews.get("")
async def review_queue_page(
    request: Request, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """List the waiting essays with the filter, and the reviewer's own claims."""
    query = read_query(QueueQuery, request.query_params)
    views, waiting = await services.review_queue.page(
        scope.organization_id, query.found(), query.after(), query.limit + 1
    )
    shown = views[: query.limit]
    return render(
        request,
        "advisor/queue.html",
        title=gettext("Reviews"),
        items=shown,
        waiting=waiting,
        claims=await services.review_queue.claimed_by(scope.organization_id, principal.user_id),
        settings=await _settings(services, scope),
        choices=await choices(services, scope),
        reason_options=[(value, gettext(label)) for value, label in REASONS.items()],
        filters=filled(request.query_params, FILTERS),
        next_cursor=query.cursor_after(shown[-1]) if len(views) > query.limit else None,
        is_first=query.cursor is None,
        reader=principal.user_id,
        now=datetime.now(UTC),
        offer=await _offer(request, services, scope),
        item_id=None,
    )


@reviews.post("/next")
async def claim_next_form(form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep) -> Response:
    """Claim the next essay that matches the filter, and open it."""
    return await _next(form, services, scope, actor_of(principal))


@reviews.get("/items/{item_id}")
async def desk_page(
    request: Request, item_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Show an essay. One with an open appeal is decided on the page of the appeal."""
    desk = await _read(item_id, services, scope)
    if desk.waiting and desk.appeal_id:
        return see_other(f"/appeals/{desk.appeal_id}", **filled(request.query_params, ("done",)))
    decided = desk.assessment_id if desk.held and desk.waiting is None else None
    return _desk(request, desk, principal.user_id, offer=await _offer(request, services, scope, decided))


@reviews.post("/items/{item_id}/claim")
async def claim_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, item_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    try:
        async with services.database.transaction() as uow:
            await ReviewClaimService(uow).claim(item_id, scope, actor_of(principal))
            await uow.commit()
    except Conflict as conflict:
        return _desk(request, await _read(item_id, services, scope), principal.user_id, conflict=conflict)
    return see_other(f"/reviews/items/{item_id}", **filled(form, FILTERS))


@reviews.post("/items/{item_id}/renewal")
async def renew_claim_form(
    item_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> JSONResponse:
    """Renew the claim for the script of the open page."""
    async with services.database.transaction() as uow:
        view = await ReviewClaimService(uow).renew(item_id, scope, actor_of(principal))
        await uow.commit()
    return JSONResponse({"expires_at": view.claimed_until.isoformat() if view.claimed_until else None})


@reviews.post("/items/{item_id}/release")
async def release_claim_form(
    item_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    async with services.database.transaction() as uow:
        await ReviewClaimService(uow).release(item_id, scope, actor_of(principal))
        await uow.commit()
    return see_other("/reviews", **filled(form, FILTERS), done="claim_released")


@reviews.post("/items/{item_id}/decision")
async def decision_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, item_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Store the levels, or confirm the published ones, and open the next essay."""
    desk = await _read(item_id, services, scope)
    entered = entered_levels(form, desk.essay)
    errors = _problems(form, desk.essay, entered)
    decision = None if errors else _decision(form, entered, errors)
    if decision is None:
        return _desk(request, desk, principal.user_id, 400, errors=errors, form=form)
    judgement = Judgement(levels=decision.levels, comment=decision.comment)
    try:
        async with services.database.transaction() as uow:
            _, receipt = await ReviewClaimService(uow).decide(
                item_id, scope, actor_of(principal), judgement, seen_revision=decision.revision
            )
            await uow.commit()
    except (Conflict, InvalidAssessmentState) as conflict:
        newest = await _read(item_id, services, scope)
        return _desk(request, newest, principal.user_id, conflict=conflict, form=form)
    await notify_all(calls_after_review(receipt.assessment, services))
    decided = str(receipt.assessment.id) if receipt.assessment.held else ""
    return await _next(form, services, scope, actor_of(principal), done="review_stored", decided=decided)


def entered_levels(form: Form, essay: EssayView) -> dict[str, str]:
    """Return the chosen levels by criterion. Only levels of the rubric are taken."""
    return {
        each.criterion.key: form[f"level.{each.number}"]
        for each in essay.criteria
        if form.get(f"level.{each.number}") in {level.name for level in each.criterion.levels}
    }


def missing_levels(essay: EssayView, entered: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return an error for each criterion without a chosen level."""
    return [
        (f"criterion-{each.number}", gettext("Choose a level for %(criterion)s.") % {"criterion": each.criterion.name})
        for each in essay.criteria
        if each.criterion.key not in entered
    ]


def _problems(form: Form, essay: EssayView, entered: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what keeps the form from being stored. "Confirm" with changed levels is refused, not guessed."""
    if form.get("action") != "confirm":
        return missing_levels(essay, entered)
    if not essay.has_levels:
        return [("criterion-1", gettext("There are no levels to confirm. Choose the levels."))]
    return [
        (
            f"criterion-{each.number}",
            gettext("You have changed the level of %(criterion)s. Set the levels, or choose the previous level again.")
            % {"criterion": each.criterion.name},
        )
        for each in essay.criteria
        if entered.get(each.criterion.key, each.published) != each.published
    ]


def _decision(form: Form, entered: Mapping[str, str], errors: list[tuple[str, str]]) -> DecisionRequest | None:
    """Check the form with the schema of the API. None: the problem is added to `errors`."""
    confirm = form.get("action") == "confirm"
    sent: dict[str, Any] = {"comment": form.get("comment", "").replace("\r\n", "\n") or None, "confirm": confirm}
    try:
        return DecisionRequest.model_validate(
            sent | {"levels": None if confirm else dict(entered), "revision": int(form.get("revision", ""))}
        )
    except (ValidationError, ValueError):
        text = gettext("Write at most %(number)d characters.") % {"number": MAX_COMMENT_CHARS}
        errors.append(("comment", text))
        return None


async def _next(form: Form, services: Services, scope: AccessScope, reviewer: Actor, **flash: str) -> Response:
    """Claim and open the next essay of the filter. Without one, go back to the queue.

    `flash` has the message about what was stored, and in `decided` the held assessment whose essay was decided.
    """
    found = read_query(QueueQuery, filled(form, FILTERS)).found()
    flash = {name: value for name, value in flash.items() if value}
    try:
        async with services.database.transaction() as uow:
            view = await ReviewClaimService(uow).claim_next(scope, reviewer, found)
            await uow.commit()
    except NotFound:
        return see_other("/reviews", **filled(form, FILTERS), **({"done": "queue_empty"} | flash))
    return see_other(f"/reviews/items/{view.item_id}", **filled(form, FILTERS), **flash)


async def _read(item_id: UUID, services: Services, scope: AccessScope) -> Desk:
    """Read an essay with its place in the queue.

    Raises:
        NotFound: the organization has no such essay with a result.
    """
    async with services.database.transaction() as uow:
        place = await uow.review_claims.locate(item_id, scope.organization_id)
        asked = await uow.assessments.items(place.assessment_id)
        settings = await uow.organizations.settings(scope.organization_id)
    graded = await services.queries.graded_items(place.assessment_id, scope)
    status = await services.queries.status(place.assessment_id, scope)
    if graded is None or status is None:
        raise NotFound("No such essay")
    role = await services.queries.role(status.role_id)
    found = await asyncio.to_thread(assessed_items, graded, asked)
    item = next(each for each in found.items if each.item.snapshot_id == item_id)
    return Desk(
        item_id=item_id,
        assessment_id=place.assessment_id,
        revision=graded.revision,
        held=status.released is False,
        waiting=await services.review_queue.item(scope.organization_id, item_id),
        essay=essay_view(item),
        role=role.name if role else gettext("Assessment"),
        blind=settings.blind,
        appeal_id=await _open_appeal(place.assessment_id, place.question_id, services, scope),
        openable=await openable_sources([item], services, scope),
        now=datetime.now(UTC),
    )


async def _open_appeal(assessment_id: UUID, question_id: UUID, services: Services, scope: AccessScope) -> UUID | None:
    wanted = AppealFilter(assessment_id=assessment_id, state="open")
    views = await services.appeals.queries.appeals(scope, wanted, None)
    return next((each.appeal_id for each in views if each.question_id == question_id), None)


def _desk(  # noqa: PLR0913  # the states of the page
    request: Request,
    desk: Desk,
    reader: UUID,
    status: int = 200,
    *,
    conflict: AppError | None = None,
    errors: list[tuple[str, str]] | None = None,
    form: Form | None = None,
    offer: ReleaseOffer | None = None,
) -> Response:
    """Render the desk; after a conflict with the newest state and, if it was sent, with what the reviewer entered."""
    essay = desk.essay if form is None else essay_view(desk.essay.item, entered_levels(form, desk.essay))
    return render(
        request,
        "advisor/desk.html",
        409 if conflict else status,
        title=gettext("Review"),
        desk=desk,
        essay=essay,
        openable=desk.openable,
        is_mine=desk.is_claimed_by(reader),
        conflict=conflict.code if conflict else "",
        details=(conflict.details or {}) if conflict else {},
        message=translated(conflict.message) if conflict else "",
        errors=errors or [],
        comment=(form or {}).get("comment", ""),
        filters=filled(form if form is not None else request.query_params, FILTERS),
        max_comment=MAX_COMMENT_CHARS,
        offer=offer,
        item_id=desk.item_id,
    )


async def _offer(
    request: Request, services: Services, scope: AccessScope, decided: UUID | None = None
) -> ReleaseOffer | None:
    """Return the offer to release `decided`, or the assessment that the address names as decided."""
    named = read_query(DecidedQuery, filled(request.query_params, ("decided",))).decided
    assessment_id = named or decided
    return await release_offer(assessment_id, services, scope) if assessment_id else None


async def _settings(services: Services, scope: AccessScope) -> OrganizationSettings:
    async with services.database.transaction() as uow:
        return await uow.organizations.settings(scope.organization_id)
