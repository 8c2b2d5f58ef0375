"""Schemas of re-scores, their summaries and their differences."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from api.schemas.base import Id, Input, Moment, Number, Output, QueryInput, VisibleText, digits
from domain.rescores.rescores import DifferenceOutcome, DifferenceStatus, RescoreScope, RescoreStatus, SkipReason

Version = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
MAX_IDS = 1000


class RescoreRequest(Input):
    """A request for a re-score, with either `role_id` or `question_key`."""

    role_id: Id | None = Field(default=None, description="All assessments of the role")
    question_key: str | None = Field(
        default=None, max_length=64, pattern="^[a-z0-9-]+$", description="All assessments that asked the question"
    )
    since: Moment | None = Field(default=None, description="Only assessments that were completed at this time or later")
    reason: VisibleText = Field(
        max_length=2000, description="Shown to advisors and admins. Do not name students", examples=["Corrected key"]
    )
    scope: Literal["rules", "essays", "recommendations"] = Field(
        description="`rules` scores all questions except essays; `essays` grades essays; `recommendations` keeps all"
        " scores. Recommendations are computed again where scores or skill targets change, or always with"
        " `recommendations`"
    )
    versions: list[Version] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="Only assessments that were scored by one of these question versions",
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.role_id is None) == (self.question_key is None):
            raise ValueError("must have either role_id or question_key")
        return self


class RescoreAck(Output):
    rescore_id: Id
    status: RescoreStatus


class Summary(Output):
    """Numbers of assessments. `up`, `down` and `same` compare the points; `mean_change` is in points.

    `changed` also counts changes of skills or recommendations. `reached_target` and `missed_target` count assessments
    in which a skill rises to its target or falls below it. `not_comparable` counts assessments with an item that could
    not be scored again.
    """

    compared: int
    changed: int
    up: int
    down: int
    same: int
    mean_change: Number | None = None
    reached_target: int
    missed_target: int
    not_comparable: int
    applying: int
    applied: int
    skipped: int


class RescoreResponse(Output):
    """`done` of `total` assessments are compared. `cents` were paid for essays. `stop_reason` is set if it stopped."""

    rescore_id: Id
    requested_by: Id | None = None
    role_id: Id | None = None
    question_key: str | None = None
    since: Moment | None = None
    versions: list[str] | None = None
    reason: str
    scope: RescoreScope
    status: RescoreStatus
    total: int | None = Field(default=None, description="Absent until the computation starts")
    done: int
    cents: Number
    stop_reason: str | None = Field(default=None, examples=["essay_budget_spent"])
    stop_message: str | None = Field(default=None, description="The reason of the stop as a sentence")
    created_at: Moment
    computed_at: Moment | None = None


class RescoreDetail(RescoreResponse):
    summary: Summary


class RescoreList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[RescoreResponse]
    next_cursor: str | None = None


class DifferenceQuery(QueryInput):
    outcome: DifferenceOutcome | None = Field(default=None, description="Only differences with this outcome")
    cursor: Id | None = Field(default=None, description="`next_cursor` of the previous page")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)


class ItemChange(Output):
    """An item. `not_comparable` tells why it keeps its published score. Points are absent if a grader abstained."""

    question_id: Id
    old_points: Number | None = None
    new_points: Number | None = None
    old_max_points: Number
    new_max_points: Number
    old_levels: dict[str, str] = Field(description="The levels of an essay by criterion")
    new_levels: dict[str, str]
    not_comparable: str | None = None


class SkillChange(Output):
    """A skill whose score or target changes. Scores and targets are 0..1; an absent score is unknown."""

    skill: str
    old_score: Number | None = None
    new_score: Number | None = None
    old_target: Number | None = None
    new_target: Number | None = None


class CredentialChange(Output):
    credential_id: Id
    title: str


class DifferenceResponse(Output):
    """What would change in one assessment. `revision` is the published revision that was compared.

    `status` `skipped` comes with `skip_reason`: the assessment changed after the computation, so the difference was
    not applied. `applied` comes with `applied_revision`.
    """

    assessment_id: Id
    user_id: Id
    role_id: Id
    revision: int
    outcome: DifferenceOutcome
    status: DifferenceStatus
    old_points: Number
    new_points: Number
    items: list[ItemChange]
    skills: list[SkillChange]
    credentials_in: list[CredentialChange] = Field(description="Newly recommended")
    credentials_out: list[CredentialChange] = Field(description="No longer recommended")
    reached_targets: list[str] = Field(description="Skills whose score rises to the target")
    missed_targets: list[str] = Field(description="Skills whose score falls below the target")
    problem: str | None = Field(default=None, description="Why the whole assessment cannot be compared")
    applied_revision: int | None = None
    skip_reason: SkipReason | None = None


class DifferenceList(Output):
    """By assessment id. `next_cursor` is absent on the last page."""

    items: list[DifferenceResponse]
    next_cursor: Id | None = None


class ApplyRequest(Input):
    """Without `assessment_ids`, all differences that change something are applied."""

    assessment_ids: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_IDS)


class ApplyAck(Output):
    """`chosen` differences are being published. Differences without a change and applied ones are not chosen."""

    rescore_id: Id
    status: RescoreStatus
    chosen: int
