"""What people do about a result. Each is committed first; what the engine does not hear, reconciliation repeats."""

from functools import partial

from fastapi import Response

from api.dependencies import Caller, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id
from api.schemas.errors import answers
from api.schemas.revising import RerunResponse, RetryResponse, ReviewRequest, ReviewResponse
from api.security.authorization import actor_of
from api.services.reviews import Judgement, ReviewService
from api.workflow_engine import ensure_run, told
from persistence.request_database import RequestUnitOfWork

reviews = router(prefix="/assessments", tags=["Assessments"])


@reviews.post(
    "/{assessment_id}/items/{question_id}/review",
    status_code=202,
    summary="Set or confirm an essay's levels",
    response_description="Stored; a revision with it follows",
    response_model=ReviewResponse,
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def review_essay(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    assessment_id: Id,
    question_id: Id,
    review: ReviewRequest,
    services: ServicesDep,
    caller: Caller,
    seen: ScopeDep,
    once: IdempotencyDep,
) -> Response:
    """A person's levels always win over a grader's, and no later grading overwrites them; the newest review counts."""
    judgement = Judgement(levels=review.levels, comment=review.comment)

    async def store(uow: RequestUnitOfWork) -> CommandResult:
        receipt = await ReviewService(uow).review(assessment_id, question_id, seen, actor_of(caller), judgement)
        stored = ReviewResponse(
            review_id=receipt.review_id,
            assessment_id=assessment_id,
            question_id=question_id,
            revision=receipt.assessment.revision,
        )
        return CommandResult(answer=stored, tell=[partial(told, services.runs.reviewed, receipt.assessment)])

    return await once.do(services.database, store, again=services.runs.reviewed)


@reviews.post(
    "/{assessment_id}/retry",
    status_code=202,
    summary="Heal a degraded result now",
    response_model=RetryResponse,
    response_description="Healing is under way",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def retry_healing(
    assessment_id: Id, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """Also after healing was given up or has failed; 409 where nothing is degraded that could heal."""

    async def retry(uow: RequestUnitOfWork) -> CommandResult:
        assessment = await ReviewService(uow).heal_now(assessment_id, seen, actor_of(caller))
        due = RetryResponse(assessment_id=assessment_id, revision=assessment.revision, healing="due")
        return CommandResult(answer=due, tell=[partial(told, services.runs.heal_now, assessment)])

    return await once.do(services.database, retry, again=services.runs.heal_now)


@reviews.post(
    "/{assessment_id}/rerun",
    status_code=202,
    summary="Run a failed assessment again",
    response_model=RerunResponse,
    response_description="The result is being made",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def rerun_assessment(
    assessment_id: Id, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """409 unless it failed; what expired without an answer has nothing to run on."""

    async def rerun(uow: RequestUnitOfWork) -> CommandResult:
        assessment = await ReviewService(uow).rerun(assessment_id, seen, actor_of(caller))
        begun = RerunResponse(assessment_id=assessment_id, status="awaiting_async", run=assessment.run)
        return CommandResult(answer=begun, tell=[partial(told, services.runs.submit, assessment)])

    return await once.do(services.database, rerun, again=partial(ensure_run, services.runs))
