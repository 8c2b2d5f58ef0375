"""Appeal the grade of an essay, and withdraw the appeal."""

from uuid import UUID

from fastapi import Request, Response
from pydantic import ValidationError

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.forms import FormDep
from api.pages.graded_questions import GradedQuestion, graded_questions
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.schemas.appeals import AppealRequest
from api.schemas.base import Id
from api.security.authorization import actor_of
from api.security.tokens import Principal
from api.services.after_commit import calls_after_appeal
from api.services.appeals import AppealReceipt, AppealService
from api.services.use_cases import require
from api.workflow_engine import notify_all
from domain.errors import Conflict, InvalidAssessmentState, NotFound
from persistence.queries.views import AccessScope

appeals = page_router(prefix="/assessments/{assessment_id}")


@appeals.get("/questions/{question_id}/appeal")
async def appeal_page(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request,
    assessment_id: Id,
    question_id: Id,
    services: ServicesDep,
    principal: PrincipalDep,
    scope: ScopeDep,
) -> Response:
    """The form, as long as the grade may be appealed; else the question on the result page."""
    return await _form(request, assessment_id, question_id, services, principal, scope)


@appeals.post("/questions/{question_id}/appeal")
async def appeal_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request,
    assessment_id: Id,
    question_id: Id,
    form: FormDep,
    services: ServicesDep,
    principal: PrincipalDep,
    scope: ScopeDep,
) -> Response:
    reason = form.get("reason", "").replace("\r\n", "\n")
    try:
        sent = AppealRequest(question_id=question_id, reason=reason)
    except ValidationError:
        problem = gettext("Say why the grade is wrong, in at most 2,000 characters.")
        return await _form(
            request, assessment_id, question_id, services, principal, scope, reason=reason, errors=[("reason", problem)]
        )
    try:
        async with services.database.transaction() as uow:
            receipt = await AppealService(uow).open(assessment_id, question_id, sent.reason, scope, actor_of(principal))
            await uow.commit()
    except (Conflict, InvalidAssessmentState):  # the page of the question says what is possible now
        return see_other(f"/assessments/{assessment_id}/result")
    return await _finished(receipt, services, "appealed")


@appeals.post("/appeals/{appeal_id}/withdrawal")
async def withdrawal_form(
    assessment_id: Id, appeal_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Withdraw an open appeal. An appeal that is closed already stays as it is."""
    try:
        async with services.database.transaction() as uow:
            receipt = await AppealService(uow).withdraw(appeal_id, scope, actor_of(principal))
            await uow.commit()
    except Conflict:
        return see_other(f"/assessments/{assessment_id}/result")
    return await _finished(receipt, services, "withdrawn")


async def _finished(receipt: AppealReceipt, services: Services, done: str) -> Response:
    await notify_all(calls_after_appeal(receipt, services))
    appeal = receipt.appeal
    return see_other(f"/assessments/{appeal.assessment_id}/result", f"appeal-{appeal.question_id}", done=done)


async def _form(  # noqa: PLR0913, PLR0917  # the parts of a request
    request: Request,
    assessment_id: UUID,
    question_id: UUID,
    services: Services,
    principal: Principal,
    scope: AccessScope,
    *,
    reason: str = "",
    errors: list[tuple[str, str]] | None = None,
) -> Response:
    view = await services.queries.graded_items(assessment_id, scope)
    status = await services.queries.status(assessment_id, scope)
    if view is None or status is None:
        raise NotFound("No such assessment")
    if view.document is None:
        return see_other(f"/assessments/{assessment_id}/result")
    graded = await graded_questions(view, status, principal, services, scope)
    question = _of(graded.questions, question_id)
    if not question.may_appeal:
        return see_other(f"/assessments/{assessment_id}/result")
    return render(
        request,
        "student/appeal.html",
        400 if errors else 200,
        title=gettext("Appeal the grade of question %(number)d") % {"number": question.number},
        assessment_id=assessment_id,
        question=question,
        appeals=graded.appeals,
        reason=reason,
        errors=errors or [],
    )


def _of(questions: tuple[GradedQuestion, ...], question_id: UUID) -> GradedQuestion:
    return require(next((each for each in questions if each.question_id == question_id), None), "No such question")
