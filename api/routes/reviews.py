"""Review an essay, heal a degraded result, run a failed assessment again.

Each request commits before it calls the workflow engine. Reconciliation repeats a failed call.
"""

from functools import partial

from fastapi import Response

from api.dependencies import ScopeDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id
from api.schemas.errors import answers
from api.schemas.reviews import RerunResponse, RetryResponse, ReviewRequest, ReviewResponse
from api.services.after_commit import calls_after_rerun, calls_after_retry, calls_after_review
from api.services.reviews import Judgement, ReviewService
from api.workflow_engine import ensure_run
from persistence.request_database import RequestUnitOfWork

reviews = router(prefix="/assessments", tags=["Assessments"])


@reviews.post(
    "/{assessment_id}/items/{question_id}/review",
    status_code=202,
    summary="Set or confirm an essay's levels",
    response_description="Stored; the next revision of the result uses it",
    response_model=ReviewResponse,
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def review_essay(
    assessment_id: Id, question_id: Id, review: ReviewRequest, scope: ScopeDep, command: IdempotencyDep
) -> Response:
    """A reviewer's levels override the grader's, also in later gradings. The newest review of an essay counts."""
    judgement = Judgement(levels=review.levels, comment=review.comment)

    async def store(uow: RequestUnitOfWork) -> CommandResult:
        receipt = await ReviewService(uow).review(assessment_id, question_id, scope, command.actor, judgement)
        stored = ReviewResponse(
            review_id=receipt.review_id,
            assessment_id=assessment_id,
            question_id=question_id,
            revision=receipt.assessment.revision,
        )
        return CommandResult(response=stored, after_commit=calls_after_review(receipt.assessment, command.services))

    return await command.execute(store, on_replay=command.services.runs.reviewed)


@reviews.post(
    "/{assessment_id}/retry",
    status_code=202,
    summary="Heal a degraded result now",
    response_model=RetryResponse,
    response_description="Healing has started",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def retry_healing(assessment_id: Id, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Also works after healing stopped or failed. 409 if nothing in the result can be healed."""

    async def retry(uow: RequestUnitOfWork) -> CommandResult:
        assessment = await ReviewService(uow).heal_now(assessment_id, scope, command.actor)
        due = RetryResponse(assessment_id=assessment_id, revision=assessment.revision, healing="due")
        return CommandResult(response=due, after_commit=calls_after_retry(assessment, command.services))

    return await command.execute(retry, on_replay=command.services.runs.heal_now)


@reviews.post(
    "/{assessment_id}/rerun",
    status_code=202,
    summary="Run a failed assessment again",
    response_model=RerunResponse,
    response_description="The result is being prepared",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def rerun_assessment(assessment_id: Id, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """409 if the assessment has not failed, or if it expired without an answer."""

    async def rerun(uow: RequestUnitOfWork) -> CommandResult:
        assessment = await ReviewService(uow).rerun(assessment_id, scope, command.actor)
        begun = RerunResponse(assessment_id=assessment_id, status="awaiting_async", run=assessment.run)
        return CommandResult(response=begun, after_commit=calls_after_rerun([assessment], command.services))

    return await command.execute(rerun, on_replay=partial(ensure_run, command.services.runs))
