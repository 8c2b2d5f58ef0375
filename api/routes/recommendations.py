"""What people make of a recommendation."""

from api.routing import router
from api.schemas.errors import answers
from api.schemas.recommendations import RecommendationFeedbackRequest, RecommendationFeedbackResponse
from api.services import Caller, Seen, Use
from api.wire import Id
from domain.errors import InvalidInput, Problem
from persistence.feedback import Feedback
from persistence.views import Actor

recommendations = router(prefix="/recommendations", tags=["Recommendations"])


@recommendations.post(
    "/{recommendation_id}/feedback",
    status_code=201,
    summary="Submit feedback for a recommendation",
    response_description="Feedback recorded",
    responses=answers(400, 401, 403, 404, 413, 415),
)
async def give_feedback(
    recommendation_id: Id, feedback: RecommendationFeedbackRequest, services: Use, caller: Caller, seen: Seen
) -> RecommendationFeedbackResponse:
    """Every feedback is kept, with the revision it speaks of; `credential_id` narrows it to one recommended item."""
    if feedback.submitted_by_role not in (None, caller.role.value):
        raise InvalidInput("The request is not valid", (Problem("submitted_by_role", "is not the caller's role"),))
    given = Feedback(
        relevance_score=feedback.relevance_score,
        acceptance_status=feedback.acceptance_status,
        comments=feedback.comments,
        credential_id=feedback.credential_id,
    )
    async with services.intake() as unit:
        receipt = await unit.feedback.give(recommendation_id, seen, Actor(id=caller.user_id, role=caller.role), given)
        await unit.commit()
    return RecommendationFeedbackResponse.model_validate(receipt)
