"""Give feedback on a recommendation."""

from uuid import UUID

from api.services.use_cases import UseCases, lock_visible, require
from domain.errors import InvalidInput, Problem
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.feedback import FeedbackReceipt, NewFeedback


class FeedbackService(UseCases):
    """Use cases of one transaction. The caller commits."""

    async def give(
        self, recommendation_id: UUID, scope: AccessScope, actor: Actor, feedback: NewFeedback
    ) -> FeedbackReceipt:
        """Store feedback on the revision that the actor sees, with its audit row and its satisfaction metric.

        Raises:
            NotFound: the recommendation does not exist, is outside the scope, or is held and not visible to the actor.
            InvalidInput: the credential is not one of its items.
            Erased: the actor is being erased.
        """
        assessment_id = require(
            await self._uow.feedback.assessment_of(recommendation_id, scope), "No such recommendation"
        )
        assessment, now = await lock_visible(self._uow.assessments.lock(assessment_id), scope)
        seen = scope.visible(assessment)
        await self._uow.people.lock_author(actor.id)
        credential_id = feedback.credential_id
        if credential_id is not None and not await self._uow.feedback.has_item(seen, credential_id):
            problem = Problem("credential_id", "is not one of the recommended items")
            raise InvalidInput("The request is not valid", (problem,))
        return await self._uow.feedback.add(recommendation_id, seen, now, actor, feedback)
