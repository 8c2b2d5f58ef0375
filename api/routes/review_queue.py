"""The review queue: list it, claim an essay, decide the claimed essay."""

from typing import Annotated

from fastapi import Query, Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas.base import Id
from api.schemas.errors import answers
from api.schemas.review_queue import (
    ClaimList,
    ClaimRequest,
    ClaimResponse,
    DecisionRequest,
    QueueItem,
    QueueQuery,
    ReviewQueuePage,
)
from api.schemas.reviews import ReviewResponse
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_review
from api.services.review_claims import ReviewClaimService
from api.services.reviews import Judgement
from persistence.request_database import RequestUnitOfWork

review_queue = router(prefix="/reviews", tags=["Reviews"])


@review_queue.get("/queue", summary="List the essays that wait for a reviewer", responses=answers(400, 401, 403))
async def list_review_queue(
    query: Annotated[QueueQuery, Query()], services: ServicesDep, scope: ScopeDep, principal: PrincipalDep
) -> ReviewQueuePage:
    """Claimed essays are listed too, with the reviewer who has claimed them."""
    after = query.after()
    views, waiting = await services.review_queue.page(scope.organization_id, query.found(), after, query.limit + 1)
    shown = views[: query.limit]
    return ReviewQueuePage(
        items=[QueueItem.of(view, reader=principal.user_id) for view in shown],
        waiting=waiting,
        next_cursor=query.cursor_after(shown[-1]) if len(views) > query.limit else None,
    )


@review_queue.post(
    "/claims",
    status_code=201,
    response_model=ClaimResponse,
    summary="Claim the next essay",
    response_description="Claimed for 15 minutes",
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def claim_essay(body: ClaimRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Claim the next unclaimed essay that matches the filter, or a given essay.

    404 if no such essay waits. 409 if another reviewer has claimed the given essay (`ITEM_CLAIMED`, with `claimed_by`
    and `expires_at` in `details`), or if it does not wait any more (`ITEM_DECIDED`).
    """
    reviewer = command.actor

    async def claim(uow: RequestUnitOfWork) -> CommandResult:
        service = ReviewClaimService(uow)
        if body.item_id is None:
            view = await service.claim_next(scope, reviewer, body.found())
        else:
            view = await service.claim(body.item_id, scope, reviewer)
        return CommandResult(response=ClaimResponse.of(view, reader=reviewer.id))

    return await command.execute(claim)


@review_queue.get("/claims", summary="List your claims", responses=answers(401, 403))
async def list_claims(services: ServicesDep, scope: ScopeDep, principal: PrincipalDep) -> ClaimList:
    """Return the caller's claims that have not expired, for example to continue after a lost response."""
    reader = principal.user_id
    views = await services.review_queue.claimed_by(scope.organization_id, reader)
    return ClaimList(items=[ClaimResponse.of(view, reader=reader) for view in views])


@review_queue.post(
    "/claims/{claim_id}/renewals",
    response_model=ClaimResponse,
    summary="Renew a claim",
    response_description="The claim lasts 15 minutes from now",
    responses=answers(400, 401, 403, 404, 409, 422),
)
async def renew_claim(claim_id: Id, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Renew the caller's claim, also an expired one, as long as no other reviewer has claimed the essay."""
    reviewer = command.actor

    async def renew(uow: RequestUnitOfWork) -> CommandResult:
        view = await ReviewClaimService(uow).renew(claim_id, scope, reviewer)
        return CommandResult(response=ClaimResponse.of(view, reader=reviewer.id))

    return await command.execute(renew)


@review_queue.delete(
    "/claims/{claim_id}", status_code=204, summary="Release a claim", responses=answers(400, 401, 403, 404)
)
async def release_claim(claim_id: Id, services: ServicesDep, scope: ScopeDep, principal: PrincipalDep) -> None:
    """Let others claim the essay. A repeated call changes nothing, nor does a call for another reviewer's claim."""
    async with services.database.transaction() as uow:
        await ReviewClaimService(uow).release(claim_id, scope, actor_of(principal))
        await uow.commit()


@review_queue.post(
    "/claims/{claim_id}/decision",
    status_code=202,
    response_model=ReviewResponse,
    summary="Decide the claimed essay",
    response_description="Stored; the next revision of the result uses it",
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def decide_claim(claim_id: Id, decision: DecisionRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """Set or confirm the essay's levels and end the claim.

    An expired claim is enough as long as no other reviewer has claimed the essay. 409 if another reviewer has
    (`ITEM_CLAIMED`), if the essay does not wait any more (`ITEM_DECIDED`), if the result has a newer revision
    (`REVISION_OUTDATED`, with `revision` in `details`), if the caller has no claim on it (`CLAIM_NOT_HELD`), or if the
    answer to an appeal decides it (`ITEM_APPEALED`).
    """
    judgement = Judgement(levels=decision.levels, comment=decision.comment)

    async def decide(uow: RequestUnitOfWork) -> CommandResult:
        question_id, receipt = await ReviewClaimService(uow).decide(
            claim_id, scope, command.actor, judgement, seen_revision=decision.revision
        )
        stored = ReviewResponse(
            review_id=receipt.review_id,
            assessment_id=receipt.assessment.id,
            question_id=question_id,
            revision=receipt.assessment.revision,
        )
        return CommandResult(response=stored, after_commit=calls_after_review(receipt.assessment, command.services))

    return await command.execute(decide, on_replay=command.services.runs.reviewed)
