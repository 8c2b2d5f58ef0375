"""What people make of a recommendation."""

from fastapi import Response

from api.idempotency import Done, Keyed
from api.routing import router
from api.schemas.errors import answers
from api.schemas.recommendations import RecommendationFeedbackRequest, RecommendationFeedbackResponse
from api.services import Caller, Seen, Use
from api.wire import Id
from domain.errors import InvalidInput, Problem
from persistence.feedback import Feedback
from persistence.intake import IntakeUnit
from persistence.views import Actor

recommendations = router(prefix="/recommendations", tags=["Recommendations"])


@recommendations.post(
    "/{recommendation_id}/feedback",
    status_code=201,
    summary="Submit feedback for a recommendation",
    response_description="Feedback recorded",
    response_model=RecommendationFeedbackResponse,
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def give_feedback(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    recommendation_id: Id,
    feedback: RecommendationFeedbackRequest,
    services: Use,
    caller: Caller,
    seen: Seen,
    once: Keyed,
) -> Response:
    """Every feedback is kept, with the revision it speaks of; `credential_id` narrows it to one recommended item."""
    if feedback.submitted_by_role not in (None, caller.role.value):
        raise InvalidInput("The request is not valid", (Problem("submitted_by_role", "is not the caller's role"),))
    given = Feedback(
        relevance_score=feedback.relevance_score,
        acceptance_status=feedback.acceptance_status,
        comments=feedback.comments,
        credential_id=feedback.credential_id,
    )

    async def give(unit: IntakeUnit) -> Done:
        receipt = await unit.feedback.give(recommendation_id, seen, Actor(id=caller.user_id, role=caller.role), given)
        return Done(answer=RecommendationFeedbackResponse.model_validate(receipt))

    return await once.do(services.intake, give)
