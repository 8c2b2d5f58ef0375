"""Parameter and result types of queries."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.grading.review_queue import ReviewReason
from persistence.queries.attempts import AttemptView


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessScope:
    """The assessments that a viewer may see: those of one organization; with `user_id`, only that learner's.

    `held`: the viewer also sees results that are held. Advisors and admins do; students and API keys do not.
    """

    organization_id: UUID
    user_id: UUID | None = None
    held: bool = False

    def sees(self, assessment: Assessment) -> bool:
        return assessment.organization_id == self.organization_id and self.user_id in (None, assessment.user_id)

    def visible(self, assessment: Assessment) -> Assessment:
        """Return the assessment as the viewer may see it. Its `revision` is the one to show; 0: no result.

        `persistence.queries.release` has the same rule as SQL.
        """
        return assessment if self.held else assessment.as_student_sees()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """An active user as tokens describe them. `organization_id` None: a platform admin."""

    user_id: UUID
    role: str
    organization_id: UUID | None
    token_version: int
    must_change_password: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Holder):
    """An active user with the fields that a login needs."""

    email: str
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSessionView(Holder):
    """The user of a browser's session, as stored now. `expires_at`: the session ends then at the latest.

    `language` is the one that the user has chosen for the pages; None: the language of the browser.
    """

    email: str
    expires_at: datetime
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentView:
    """An assessment as the viewer may see it.

    `released` None: there is no result. `in_review`: a result waits for its release, and the viewer may not see it.
    """

    assessment_id: UUID
    user_id: UUID
    role_id: UUID
    status: str
    degraded: bool
    needs_review: bool
    healing: str
    revision: int
    failure_reason: str | None
    created_at: datetime
    started_at: datetime
    expires_at: datetime
    completed_at: datetime | None
    released: bool | None
    released_at: datetime | None
    in_review: bool
    last_updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAssessment(AssessmentView):
    """An assessment with what advisors need to recognize it.

    `waiting` is the number of essays that wait for a review. `anonymous`: the organization reviews blindly, so that
    the student must not be named until they are decided.
    """

    submitted_at: datetime | None
    anonymous: bool
    student_name: str | None
    student_email: str | None
    role_name: str
    waiting: int
    waiting_reasons: list[str]

    @property
    def reasons(self) -> list[ReviewReason]:
        """Why essays of the assessment wait for a review, each reason once, the most urgent first."""
        return [reason for reason in ReviewReason if reason in self.waiting_reasons]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView(AssessmentView):
    """`score` and `skills` are those of the visible result. Both are None without one; old results lack `score`.

    `stage` is the current step; None unless the assessment awaits its first result.
    """

    answered: int
    total: int
    stage: str | None
    score: Any
    skills: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedView(AttemptView):
    """`document` is the visible result as JSON text; None if there is no result that the viewer may see.

    `stage` is that of a StatusView. If the viewer is the student, the fields of AttemptView say whether the student may
    see the right answers.
    """

    status: str
    stage: str | None
    failure_reason: str | None
    revision: int
    in_review: bool
    document: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionView:
    revision: int
    released: bool
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView(AttemptView):
    """`skills` is a list of {skill, description, target, importance}; `now` is the database's clock."""

    id: UUID
    key: str
    name: str
    description: str
    skills: Any
    prerequisites: list[UUID]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackView:
    feedback_id: UUID
    revision: int
    credential_id: UUID | None
    submitted_by: UUID | None
    submitted_by_role: str
    relevance_score: int
    acceptance_status: str | None
    comments: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    id: UUID
    title: str
    description: str
    skills: list[str]
    provider: str
    level: str
    hours: Decimal
    source_uri: str
    prerequisites: list[UUID]
    embedding_vector_ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentFilter:
    """A filter; conditions are combined with AND. `after` is the (created_at, id) of the previous page's last row.

    `appealed`: whether the assessment has an open appeal. `q` is a part of the student's name or e-mail address.
    """

    status: str | None = None
    role_id: UUID | None = None
    user_id: UUID | None = None
    degraded: bool | None = None
    needs_review: bool | None = None
    appealed: bool | None = None
    released: bool | None = None
    since: datetime | None = None
    cohort_id: UUID | None = None
    q: str | None = None
    after: tuple[datetime, UUID] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The author of a change; `role` as the audit trail names it."""

    id: UUID
    role: str
