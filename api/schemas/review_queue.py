"""Schemas of the review queue and of claims."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from api.schemas import cursors
from api.schemas.base import Id, Input, Moment, Output, QueryInput, digits
from api.schemas.reviews import ReviewRequest
from domain.grading.review_queue import ReviewReason
from persistence.queries.review_queue import COUNTED, Position, QueueFilter, QueueItemView, QueueOrder

_ROLE = Field(default=None, description="Only essays of assessments of this role")
_QUESTION = Field(default=None, description="Only answers to this question")
_COHORT = Field(default=None, description="Only of students who are now in the cohort")
_ASSESSMENT = Field(default=None, description="Only essays of this assessment")
_REASON = Field(default=None, description="Only essays with this reason, among others", strict=False)
_ORDER = Field(
    default=QueueOrder.PRIORITY,
    description="`priority`: appeals first, audit samples last; within a priority a pseudo-random order that stays the"
    " same. `oldest` and `newest`: by the time of the hand-in",
    strict=False,
)


class QueueQuery(QueryInput):
    role_id: Id | None = _ROLE
    question_id: Id | None = _QUESTION
    assessment_id: Id | None = _ASSESSMENT
    cohort_id: Id | None = _COHORT
    reason: ReviewReason | None = _REASON
    order: QueueOrder = _ORDER
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page with the same `order`")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)

    def found(self) -> QueueFilter:
        return QueueFilter(**self.model_dump(exclude={"cursor", "limit"}))

    def after(self) -> Position | None:
        """Return the position of the previous page's last item; raise InvalidInput for a wrong cursor."""
        if not self.cursor:
            return None
        by_rank = self.order is QueueOrder.PRIORITY
        return cursors.decode_rank(self.cursor) if by_rank else cursors.decode(self.cursor)

    def cursor_after(self, last: QueueItemView) -> str:
        if self.order is QueueOrder.PRIORITY:
            return cursors.encode_rank(last.priority, last.order_key)
        return cursors.encode(last.submitted_at, last.order_key)


class ClaimRequest(Input):
    """Which essay to claim: the one with `item_id`, or the next that matches the filter. `{}` is the next of all."""

    item_id: Id | None = Field(default=None, description="The essay to claim. It excludes all other fields")
    role_id: Id | None = _ROLE
    question_id: Id | None = _QUESTION
    assessment_id: Id | None = _ASSESSMENT
    cohort_id: Id | None = _COHORT
    reason: ReviewReason | None = _REASON
    order: QueueOrder = _ORDER

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.item_id is not None and len(self.model_fields_set) > 1:
            raise ValueError("must have either item_id or a filter")
        return self

    def found(self) -> QueueFilter:
        return QueueFilter(**self.model_dump(exclude={"item_id"}))


class DecisionRequest(ReviewRequest):
    """A review of the claimed essay, with either `levels` or `confirm`."""

    revision: int = Field(ge=1, description="The revision of the result that the reviewer saw")


class QueuedStudent(Output):
    user_id: Id
    email: str
    name: str | None = None


class QueuedRole(Output):
    role_id: Id
    name: str


class ItemClaim(Output):
    """A live claim. `yours`: the caller has made it."""

    claimed_by: Id
    email: str
    expires_at: Moment
    yours: bool


class QueueItem(Output):
    """An essay that waits for a reviewer. `student` is absent if the organization reviews blindly.

    `revision` is the published revision of the result for which the essay is in the queue.
    """

    item_id: Id
    assessment_id: Id
    question_id: Id
    role: QueuedRole
    reasons: list[ReviewReason]
    revision: int
    submitted_at: Moment
    student: QueuedStudent | None = None
    claim: ItemClaim | None = None

    @classmethod
    def of(cls, view: QueueItemView, *, reader: Id) -> Self:
        student = QueuedStudent(user_id=view.user_id, email=view.email, name=view.name)
        claim = None
        if view.claimed_by and view.claimed_by_email and view.claimed_until:
            claim = ItemClaim(
                claimed_by=view.claimed_by,
                email=view.claimed_by_email,
                expires_at=view.claimed_until,
                yours=view.claimed_by == reader,
            )
        role = QueuedRole(role_id=view.role_id, name=view.role_name)
        return cls.read(view, role=role, student=None if view.blind else student, claim=claim)


class ReviewQueuePage(Output):
    """`next_cursor` is absent on the last page."""

    items: list[QueueItem]
    waiting: int = Field(
        description=f"Number of essays that match the filter. Counting stops at {COUNTED}, so that {COUNTED} means"
        f" {COUNTED} or more"
    )
    next_cursor: str | None = None


class ClaimResponse(Output):
    """A claim. An essay has at most one claim, and `claim_id` is the essay's `item_id`."""

    claim_id: Id
    expires_at: Moment
    item: QueueItem

    @classmethod
    def of(cls, view: QueueItemView, *, reader: Id) -> Self:
        item = QueueItem.of(view, reader=reader)
        assert item.claim is not None  # noqa: S101  # the caller has just claimed it
        return cls(claim_id=view.item_id, expires_at=item.claim.expires_at, item=item)


class ClaimList(Output):
    """The claim that expires first is at the top."""

    items: list[ClaimResponse]
