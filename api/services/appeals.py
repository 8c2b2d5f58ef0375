"""Open, answer and withdraw appeals of essays' grades."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from api.services.reviews import Judgement, ReviewService
from api.services.use_cases import UseCases, lock_visible
from domain.appeals import Appeal, AppealState, appealable, check_reviewer, check_window
from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import Item
from domain.errors import Conflict, NotFound
from domain.organizations import OrganizationSettings
from domain.webhooks.deliveries import Delivery
from persistence.queries.appeal_views import AppealView
from persistence.queries.views import AccessScope, Actor
from persistence.repositories.submitted_appeals import ClosedAppeal


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealAnswer:
    """A reviewer's answer. `levels` None rejects the appeal; then there is a message. Levels uphold it."""

    levels: Mapping[str, str] | None
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealReceipt:
    """The appeal after the request. `reviewed`: the assessment, if a review must be published."""

    appeal: Appeal
    view: AppealView
    deliveries: tuple[Delivery, ...] = ()
    reviewed: Assessment | None = None


class AppealService(UseCases):
    """Use cases of one transaction. The caller commits and then notifies the workflow engine.

    Every use case locks the assessment first and then the appeal.

    Raises:
        NotFound: the assessment or the appeal does not exist or is outside the scope.
        Erased: the caller is being erased.
    """

    async def open(
        self, assessment_id: UUID, question_id: UUID, reason: str, scope: AccessScope, student: Actor
    ) -> AppealReceipt:
        """Open an appeal of an essay's grade.

        Raises:
            NotFound: as above, or the assessment has no such question.
            InvalidAssessmentState: there is no result yet, the time for appeals is over, or the item is not an
                answered essay.
            Conflict: the item has an open appeal, or the student has no appeal of this role left.
        """
        assessment, now = await lock_visible(self._uow.assessments.lock(assessment_id), scope)
        settings = await self._uow.organizations.settings(assessment.organization_id)
        check_window(assessment, now, settings.appeal_window_days)
        item = appealable(await self._uow.assessments.items(assessment_id), question_id)
        await self._check_limits(assessment, item, settings.appeals_per_role)
        appeal = _new(assessment, item, settings, now)
        deliveries = await self._uow.submitted_appeals.add(assessment, appeal, reason, now, student)
        await self._uow.review_queue.add_appeal(item.snapshot_id)
        return await self._receipt(appeal.id, scope, deliveries)

    async def answer(self, appeal_id: UUID, scope: AccessScope, reviewer: Actor, answer: AppealAnswer) -> AppealReceipt:
        """Uphold an appeal, which reviews the essay with the given levels, or reject it.

        Raises:
            Conflict: the appeal is closed.
            Forbidden: the caller reviewed the essay last, and a colleague could answer.
            InvalidInput: the levels do not fit the rubric; one problem for each criterion.
            InvalidAssessmentState: the essay cannot be reviewed.
        """
        assessment, appeal, now = await self._lock(appeal_id, scope)
        appeal.check_open()
        await self._uow.people.lock_author(reviewer.id)
        appeals = self._uow.submitted_appeals
        has_colleagues = await appeals.has_colleagues(appeal.organization_id, reviewer.id)
        check_reviewer(reviewer.id, await appeals.last_reviewer(appeal), has_colleagues=has_colleagues)
        end = ClosedAppeal(state=AppealState.REJECTED, message=answer.message)
        if answer.levels is not None:
            judgement = Judgement(levels=answer.levels, comment=None)
            review = await ReviewService(self._uow).review(
                assessment.id, appeal.question_id, scope, reviewer, judgement
            )
            end = ClosedAppeal(state=AppealState.UPHELD, message=answer.message, review_id=review.review_id)
        deliveries = await appeals.answer(assessment, appeal, end, now, reviewer)
        return await self._receipt(appeal_id, scope, deliveries, reviewed=assessment if end.review_id else None)

    async def withdraw(self, appeal_id: UUID, scope: AccessScope, student: Actor) -> AppealReceipt:
        """Withdraw an open appeal. It still counts towards the student's limit.

        Raises:
            Conflict: the appeal is closed.
        """
        _, appeal, now = await self._lock(appeal_id, scope)
        appeal.check_open()
        await self._uow.submitted_appeals.withdraw(appeal, now, student)
        return await self._receipt(appeal_id, scope)

    async def _check_limits(self, assessment: Assessment, item: Item, most: int) -> None:
        open_id = await self._uow.submitted_appeals.open_of(item.snapshot_id)
        if open_id is not None:
            raise Conflict("This question has an open appeal already", details={"appeal_id": str(open_id)})
        if await self._uow.submitted_appeals.count(assessment) >= most:
            raise Conflict(f"You can appeal at most {most} grades of a role, and you have done so")

    async def _lock(self, appeal_id: UUID, scope: AccessScope) -> tuple[Assessment, Appeal, datetime]:
        try:
            found = await self._uow.appeals.get(appeal_id)
            assessment, now = await lock_visible(self._uow.assessments.lock(found.assessment_id), scope)
            return assessment, await self._uow.appeals.lock(appeal_id), now
        except NotFound:
            raise NotFound("No such appeal") from None

    async def _receipt(
        self,
        appeal_id: UUID,
        scope: AccessScope,
        deliveries: tuple[Delivery, ...] = (),
        *,
        reviewed: Assessment | None = None,
    ) -> AppealReceipt:
        return AppealReceipt(
            appeal=await self._uow.appeals.get(appeal_id),
            view=await self._uow.submitted_appeals.view(appeal_id, scope),
            deliveries=deliveries,
            reviewed=reviewed,
        )


def _new(assessment: Assessment, item: Item, settings: OrganizationSettings, now: datetime) -> Appeal:
    """Build an open appeal. The reminder is never due after the answer."""
    reminder_days = min(settings.appeal_reminder_days, settings.appeal_overdue_days)
    return Appeal(
        id=uuid4(),
        assessment_id=assessment.id,
        snapshot_id=item.snapshot_id,
        question_id=item.question.id,
        organization_id=assessment.organization_id,
        user_id=assessment.user_id,
        role_id=assessment.role_id,
        revision=assessment.shown_revision,
        state=AppealState.OPEN,
        reminder_due_at=now + timedelta(days=reminder_days),
        answer_due_at=now + timedelta(days=settings.appeal_overdue_days),
    )
