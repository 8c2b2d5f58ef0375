"""What people do about a result. Each is committed first; what the engine does not hear, reconciliation repeats."""

from api.engine import told
from api.routing import router
from api.schemas.errors import answers
from api.schemas.revising import RerunResponse, RetryResponse, ReviewRequest, ReviewResponse
from api.services import Caller, Seen, Use
from api.wire import Id
from persistence.revising import Judgement
from persistence.views import Actor

revising = router(prefix="/assessments", tags=["Assessments"])


@revising.post(
    "/{assessment_id}/items/{question_id}/review",
    status_code=202,
    summary="Set or confirm an essay's levels",
    response_description="Stored; a revision with it follows",
    responses=answers(400, 401, 403, 404, 409, 413, 415),
)
async def review_essay(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    assessment_id: Id, question_id: Id, review: ReviewRequest, services: Use, caller: Caller, seen: Seen
) -> ReviewResponse:
    """A person's levels always win over a grader's, and no later grading overwrites them; the newest review counts."""
    judgement = Judgement(levels=review.levels, comment=review.comment)
    async with services.intake() as unit:
        receipt = await unit.revising.review(
            assessment_id, question_id, seen, Actor(id=caller.user_id, role=caller.role), judgement
        )
        await unit.commit()
    await told(services.runs.reviewed, receipt.assessment)
    return ReviewResponse(
        review_id=receipt.review_id,
        assessment_id=assessment_id,
        question_id=question_id,
        revision=receipt.assessment.revision,
    )


@revising.post(
    "/{assessment_id}/retry",
    status_code=202,
    summary="Heal a degraded result now",
    response_description="Healing is under way",
    responses=answers(400, 401, 403, 404, 409),
)
async def retry_healing(assessment_id: Id, services: Use, caller: Caller, seen: Seen) -> RetryResponse:
    """Also after healing was given up or has failed; 409 where nothing is degraded that could heal."""
    async with services.intake() as unit:
        assessment = await unit.revising.retry(assessment_id, seen, Actor(id=caller.user_id, role=caller.role))
        await unit.commit()
    await told(services.runs.heal_now, assessment)
    return RetryResponse(assessment_id=assessment_id, revision=assessment.revision, healing="due")


@revising.post(
    "/{assessment_id}/rerun",
    status_code=202,
    summary="Run a failed assessment again",
    response_description="The result is being made",
    responses=answers(400, 401, 403, 404, 409),
)
async def rerun_assessment(assessment_id: Id, services: Use, caller: Caller, seen: Seen) -> RerunResponse:
    """409 unless it failed; what expired without an answer has nothing to run on."""
    async with services.intake() as unit:
        assessment = await unit.revising.rerun(assessment_id, seen, Actor(id=caller.user_id, role=caller.role))
        await unit.commit()
    await told(services.runs.submit, assessment)
    return RerunResponse(assessment_id=assessment_id, status="awaiting_async", run=assessment.run)
