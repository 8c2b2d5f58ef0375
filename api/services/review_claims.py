"""Claim an essay in the review queue, renew or release the claim, and decide the essay."""

from uuid import UUID

from api.services.reviews import Judgement, ReviewReceipt, ReviewService
from api.services.use_cases import UseCases, require
from domain.grading.review_queue import ItemDecided, check_claim, check_held
from persistence.queries.review_queue import QueueFilter, QueueItemView
from persistence.queries.views import AccessScope, Actor


class ReviewClaimService(UseCases):
    """Use cases of one transaction. The caller commits and then notifies the workflow engine.

    A claim has the id of its essay, because an essay has at most one claim.

    Raises:
        NotFound: the organization has no such essay with a result.
    """

    async def claim_next(self, scope: AccessScope, reviewer: Actor, found: QueueFilter) -> QueueItemView:
        """Claim the first unclaimed essay that matches the filter.

        Raises:
            NotFound: no unclaimed essay matches the filter.
            Erased: the reviewer is being erased.
        """
        await self._uow.people.lock_author(reviewer.id)
        return require(
            await self._uow.review_claims.claim_first(scope.organization_id, found, reviewer.id),
            "No essay that matches the filter waits without a claim",
        )

    async def claim(self, item_id: UUID, scope: AccessScope, reviewer: Actor) -> QueueItemView:
        """Claim this essay, or renew the reviewer's claim on it.

        Raises:
            ItemClaimed: another reviewer has claimed it.
            ItemDecided: it does not wait for a review.
            Erased: the reviewer is being erased.
        """
        location = await self._uow.review_claims.locate(item_id, scope.organization_id)
        await self._uow.people.lock_author(reviewer.id)
        item = await self._uow.review_claims.lock(item_id)
        if item is None or not item.waiting:
            newest = {"revision": str(location.revision)}
            raise ItemDecided("This essay does not wait for a review", details=newest)
        check_claim(item.claim, reviewer.id)
        return await self._uow.review_claims.claim(item_id, reviewer.id)

    async def renew(self, item_id: UUID, scope: AccessScope, reviewer: Actor) -> QueueItemView:
        """Let the reviewer's claim last from now on, also an expired one, unless another reviewer has a claim.

        Raises:
            ItemDecided, ItemClaimed, ClaimNotHeld: the reviewer has no claim on it any more.
        """
        location = await self._uow.review_claims.locate(item_id, scope.organization_id)
        item = await self._uow.review_claims.lock(item_id)
        check_held(item, reviewer.id, revision=location.revision)
        return await self._uow.review_claims.claim(item_id, reviewer.id)

    async def release(self, item_id: UUID, scope: AccessScope, reviewer: Actor) -> None:
        """End the reviewer's claim. A repeated call, and a claim of another reviewer, change nothing."""
        await self._uow.review_claims.locate(item_id, scope.organization_id)
        await self._uow.review_claims.release(item_id, reviewer.id)

    async def decide(
        self, item_id: UUID, scope: AccessScope, reviewer: Actor, judgement: Judgement, *, seen_revision: int
    ) -> tuple[UUID, ReviewReceipt]:
        """Store the review of the claimed essay and end the claim. Return the essay's question and the review.

        Raises:
            Conflict: the claim or the result has changed, as `check_decision` describes.
            InvalidAssessmentState, InvalidInput, Erased: as for `ReviewService.review`.
        """
        found = await self._uow.review_claims.locate(item_id, scope.organization_id)
        receipt = await ReviewService(self._uow).review(
            found.assessment_id, found.question_id, scope, reviewer, judgement, seen_revision=seen_revision
        )
        return found.question_id, receipt
