"""Parameter and result types of queries about appeals."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealView:
    """An appeal. `revision` is the contested one; `published_revision` the one with the levels of an upheld appeal.

    `reason` and `message` are None after the retention of answers. `user_id` is None for reviewers of an open appeal if
    the organization reviews blindly.
    """

    appeal_id: UUID
    assessment_id: UUID
    question_id: UUID
    role_id: UUID
    user_id: UUID | None
    state: str
    reason: str | None
    revision: int
    created_at: datetime
    answer_due_at: datetime
    reminded_at: datetime | None
    overdue_at: datetime | None
    closed_at: datetime | None
    message: str | None
    answered_by: UUID | None
    published_revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealFilter:
    """A filter; conditions are combined with AND. `after` is the (created_at, id) of the previous page's last row.

    `overdue` True: open appeals that are marked as overdue; False: all others.
    """

    assessment_id: UUID | None = None
    state: str | None = None
    role_id: UUID | None = None
    overdue: bool | None = None
    after: tuple[datetime, UUID] | None = None
