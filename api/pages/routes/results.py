"""The result of an assessment, for the student and for the staff of the organization; feedback on it."""

from uuid import UUID

from fastapi import Request, Response
from pydantic import ValidationError

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.forms import Form, FormDep
from api.pages.rendering import render, see_other
from api.pages.result_view import result_view
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.schemas.base import Id
from api.schemas.recommendations import RecommendationFeedbackRequest
from api.security.authorization import actor_of
from api.security.tokens import Principal, UserRole
from api.services.feedback import FeedbackService
from api.services.results import shown_document
from domain.assessments.lifecycle import AssessmentStatus
from domain.errors import NotFound
from persistence.queries.views import AccessScope
from persistence.repositories.feedback import NewFeedback

results = page_router(prefix="/assessments/{assessment_id}")


@results.get("/result")
async def result_page(
    request: Request, assessment_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    return await _result(request, assessment_id, services, principal, scope)


@results.post("/result/feedback")
async def feedback_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request,
    assessment_id: Id,
    form: FormDep,
    services: ServicesDep,
    principal: PrincipalDep,
    scope: ScopeDep,
) -> Response:
    """Store feedback on one recommended credential."""
    view = await services.queries.published(assessment_id, scope)
    if view is None or view.document is None:
        raise NotFound("No such result")
    recommendation_id = UUID(shown_document(view, view.document)["recommendation_id"])
    try:
        feedback = _feedback(form)
    except (ValidationError, ValueError):
        credential = form.get("credential_id", "")[:36]
        errors = [
            (f"relevance-{credential}", gettext("Choose a number from 1 to 5, and write at most 2,000 characters."))
        ]
        return await _result(request, assessment_id, services, principal, scope, 400, errors)
    async with services.database.transaction() as uow:
        await FeedbackService(uow).give(recommendation_id, scope, actor_of(principal), feedback)
        await uow.commit()
    return see_other(f"/assessments/{assessment_id}/result", f"course-{feedback.credential_id}", done="feedback")


def _feedback(form: Form) -> NewFeedback:
    """Check the form with the schema of the API. Raises ValueError for invalid input."""
    sent = RecommendationFeedbackRequest.model_validate(
        {
            "relevance_score": int(form.get("relevance", "")),
            "acceptance_status": form.get("acceptance") or None,
            "comments": form.get("comments") or None,
            "credential_id": form.get("credential_id"),
        }
    )
    return NewFeedback(
        relevance_score=sent.relevance_score,
        acceptance_status=sent.acceptance_status,
        comments=sent.comments,
        credential_id=sent.credential_id,
    )


async def _result(  # noqa: PLR0913, PLR0917  # the parts of a request
    request: Request,
    assessment_id: UUID,
    services: Services,
    principal: Principal,
    scope: AccessScope,
    status: int = 200,
    errors: list[tuple[str, str]] | None = None,
) -> Response:
    view = await services.queries.graded_items(assessment_id, scope)
    current = await services.queries.status(assessment_id, scope)
    if view is None or current is None:
        raise NotFound("No such assessment")
    if view.document is None:
        if principal.role is UserRole.STUDENT:
            in_progress = view.status == AssessmentStatus.IN_PROGRESS
            return see_other(f"/learn/assessments/{assessment_id}" + ("" if in_progress else "/progress"))
        raise NotFound("There is no result yet")
    result = await result_view(view, current, principal, services, scope)
    is_student = principal.role is UserRole.STUDENT
    anonymous = not is_student and await services.queries.is_anonymous(assessment_id, scope)
    title = gettext("Result: %(role)s") % {"role": result.role}
    return render(
        request,
        "student/result.html",
        status,
        title=title,
        result=result,
        document=result.document,
        assessment_id=assessment_id,
        is_student=is_student,
        student=None if anonymous else await services.pages.advisor.student(current.user_id, scope.organization_id),
        errors=errors or [],
    )
