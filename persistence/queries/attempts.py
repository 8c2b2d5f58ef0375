"""Columns about a role's rules for attempts and a student's attempts at the role."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import aliased
from sqlalchemy.sql.selectable import LateralFromClause

from domain.assessments.attempts import AttemptHistory, AttemptPolicy, Reveal, reveals_answers
from domain.assessments.lifecycle import AssessmentStatus
from persistence.tables import AssessmentRow, RoleRow

POLICY_COLUMNS: Final = (RoleRow.reveal, RoleRow.attempts, RoleRow.cool_down_hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """The columns of POLICY_COLUMNS and `attempts_by`. The defaults are those of a viewer who is not a student."""

    reveal: str = Reveal.ALWAYS
    attempts: int | None = None
    cool_down_hours: int = 0
    attempts_in_progress: int = 0
    attempts_processing: int = 0
    attempts_completed: int = 0
    last_ended_at: datetime | None = None

    @property
    def policy(self) -> AttemptPolicy:
        return AttemptPolicy(reveal=Reveal(self.reveal), attempts=self.attempts, cool_down_hours=self.cool_down_hours)

    @property
    def history(self) -> AttemptHistory:
        return AttemptHistory(
            in_progress=self.attempts_in_progress,
            processing=self.attempts_processing,
            completed=self.attempts_completed,
            last_ended_at=self.last_ended_at,
        )

    @property
    def reveals_answers(self) -> bool:
        return reveals_answers(self.policy, self.history)


def attempts_by(user: Any, role: Any) -> LateralFromClause:  # noqa: ANN401  # a column or a bound parameter
    """Return the attempts of a user at a role as one row of a lateral join, to be joined ON true."""
    attempt = aliased(AssessmentRow)
    status, ended = attempt.status, func.least(attempt.submitted_at, attempt.expires_at)
    submitted = status.in_([AssessmentStatus.AWAITING_ASYNC.value, AssessmentStatus.COMPLETED.value])
    return (
        select(
            func.count().filter(status == AssessmentStatus.IN_PROGRESS.value).label("attempts_in_progress"),
            func.count().filter(status == AssessmentStatus.AWAITING_ASYNC.value).label("attempts_processing"),
            func.count().filter(status == AssessmentStatus.COMPLETED.value).label("attempts_completed"),
            func.max(ended).filter(submitted).label("last_ended_at"),
        )
        .where(attempt.user_id == user, attempt.role_id == role)
        .lateral("attempts_by")
    )
