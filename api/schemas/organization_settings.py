"""The settings of an organization."""

from pydantic import Field, model_validator

from api.schemas.base import Input, Output, absent
from domain.organizations import ReleasePolicy


class OrganizationSettings(Output):
    omits_none = False

    release: ReleasePolicy = Field(
        description="When a student sees a result: `at_once`; `doubtful_held`: when no item waits for a review; "
        "`all_held`: when a person releases it"
    )
    audit_share: float = Field(description="The share (0..1) of confident grades that people review")
    blind: bool = Field(description="Whether reviewers see no names")
    appeal_window_days: int = Field(description="Days after the release in which a student may appeal")
    appeals_per_role: int = Field(description="The highest number of appeals of a student about a role")
    appeal_reminder_days: int = Field(description="Days until an appeal without an answer gets a reminder")
    appeal_overdue_days: int = Field(description="Days until an appeal without an answer is overdue")
    share_reviewed_answers: bool | None = Field(
        description="Whether a language model may see reviewed answers of other students as examples. null: yes, "
        "unless the model runs at OpenAI's own address"
    )
    review_target_kappa: float = Field(
        description="The agreement with reviewers (quadratic kappa, 0..1) that local grades without a review must reach"
    )


class OrganizationSettingsChange(Input):
    """A change of settings. Absent fields do not change."""

    release: ReleasePolicy = Field(default_factory=absent, strict=False)
    audit_share: float = Field(default_factory=absent, ge=0, le=1)
    blind: bool = Field(default_factory=absent)
    appeal_window_days: int = Field(default_factory=absent, ge=0, le=365)
    appeals_per_role: int = Field(default_factory=absent, ge=0, le=100)
    appeal_reminder_days: int = Field(default_factory=absent, ge=1, le=90)
    appeal_overdue_days: int = Field(default_factory=absent, ge=1, le=90)
    share_reviewed_answers: bool | None = Field(default_factory=absent)
    review_target_kappa: float = Field(default_factory=absent, ge=0, le=1)

    @model_validator(mode="after")
    def _has_a_change(self) -> "OrganizationSettingsChange":
        if not self.model_fields_set:
            raise ValueError("must have at least one field to change")
        return self
