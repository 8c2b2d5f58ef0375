"""The settings of an organization."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

REVIEW_TARGET_KAPPA: Final = 0.7
"""People agree among themselves with a quadratic kappa of about 0.75."""


class ReleasePolicy(StrEnum):
    """When a student sees a result.

    `at_once`: when it is published. `doubtful_held`: when no item waits for a review. `all_held`: when a person
    releases it.
    """

    AT_ONCE = "at_once"
    DOUBTFUL_HELD = "doubtful_held"
    ALL_HELD = "all_held"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationSettings:
    """What an organization's admins may set. A setting that is not stored has the default here.

    `audit_share` is the share (0..1) of confident grades that people review. `blind` hides names from reviewers.
    `appeal_window_days` starts at the release of a result. `appeals_per_role` is the highest number of appeals of a
    student about a role. An appeal without an answer gets a reminder after `appeal_reminder_days` and is overdue
    after `appeal_overdue_days`. `share_reviewed_answers` lets a language model see reviewed answers of other students
    as examples; None shares them unless the model runs at OpenAI's own address. `review_target_kappa` is the agreement
    with reviewers (quadratic kappa, 0..1) that local grades without a review must reach.
    """

    release: ReleasePolicy = ReleasePolicy.AT_ONCE
    audit_share: float = 0.05
    blind: bool = False
    appeal_window_days: int = 14
    appeals_per_role: int = 3
    appeal_reminder_days: int = 3
    appeal_overdue_days: int = 7
    share_reviewed_answers: bool | None = None
    review_target_kappa: float = REVIEW_TARGET_KAPPA

    def shares_reviewed_answers(self, *, hosted_by_openai: bool) -> bool:
        """Return whether a language model may see reviewed answers of other students."""
        return not hosted_by_openai if self.share_reviewed_answers is None else self.share_reviewed_answers


class Organizations(Protocol):
    """The settings of organizations."""

    async def settings(self, organization_id: UUID) -> OrganizationSettings:
        """Raises NotFound if the organization does not exist."""
        ...

    async def of_assessment(self, assessment_id: UUID) -> tuple[UUID, OrganizationSettings]:
        """Return the id and the settings of the assessment's organization.

        Raises:
            NotFound: the assessment does not exist.
        """
        ...
