"""Schemas for starting, answering and following an assessment."""

import json
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, WithJsonSchema

from api.schemas.base import Id, Input, Moment, Number, Output
from api.schemas.results import OverallScore
from domain.assessments.answers import answer_json, public_rubric
from domain.assessments.questions import AnswerFormat as DomainFormat
from domain.assessments.questions import Item
from domain.grading.review_queue import ReviewReason
from persistence.queries.views import AssessmentView, ListedAssessment

MAX_METADATA_BYTES: Final = 4096
MAX_RESPONSES: Final = 200

Status: TypeAlias = Literal["in_progress", "awaiting_async", "completed", "failed"]
"""Inline, because the OpenAPI document uses the name AssessmentStatus for a response."""


def _bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata as plain JSON, with numbers as doubles; raise ValueError if it is too large."""
    text = json.dumps(metadata, default=float, ensure_ascii=False)
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise ValueError(f"must not exceed {MAX_METADATA_BYTES} bytes")
    small: dict[str, Any] = json.loads(text)
    return small


ANSWER_SCHEMA: Final[dict[str, list[dict[str, Any]]]] = {
    "oneOf": [{"type": "string"}, {"type": "number"}, {"type": "object", "additionalProperties": True}]
}
SENT_SCHEMA: Final = {"oneOf": [*ANSWER_SCHEMA["oneOf"], {"type": "null"}]}


class AssessmentStartRequest(Input):
    role_id: Id = Field(examples=["0f8c6c57-6a34-5f4e-9d53-1f1f2a4c9a11"])
    metadata: Annotated[dict[str, Any], AfterValidator(_bounded)] = Field(
        default={}, description="Data that the client stores with the assessment, at most 4 KiB of JSON"
    )


class AssessmentResponseItem(Input):
    question_id: Id
    answer: Annotated[Any, WithJsonSchema(SENT_SCHEMA)] = Field(
        description='In the question\'s `answer_format`: a choice, `{"choices": [...]}`, a number or a text.'
        " `null`, or a text without visible characters, deletes the stored answer. Numbers are rounded to 15"
        " significant digits",
        examples=["HAVING"],
    )
    submitted_at: Moment | None = Field(
        default=None, description="The time by the client's clock. It is stored, but has no effect"
    )


class AssessmentResponseBatch(Input):
    responses: list[AssessmentResponseItem] = Field(min_length=1, max_length=MAX_RESPONSES)
    completed: bool = Field(
        default=False, description="`true` submits the assessment. Answers cannot change after that"
    )


class AnswerFormat(Output):
    """The form of an answer. Only the fields of its `kind` are present."""

    kind: Literal["single", "multiple", "number", "scale", "text"]
    choices: list[str] | None = None
    minimum: Number | None = None
    maximum: Number | None = None
    unit: str | None = None
    min_words: int | None = None
    max_words: int | None = None
    max_chars: int | None = None

    @classmethod
    def of(cls, answer_format: DomainFormat) -> "AnswerFormat":
        return cls.read(answer_format, kind=answer_format.kind.value, choices=answer_format.choices or None)


class QuestionSnapshot(Output):
    """A question as it was when the assessment started. `rubric` shows how it is graded, without the right answer."""

    question_id: Id
    type: Literal["multiple_choice", "essay", "profile"]
    prompt: str
    choices: list[str] | None = None
    rubric: dict[str, Any]
    version: str
    answer_format: AnswerFormat

    @classmethod
    def of(cls, item: Item) -> "QuestionSnapshot":
        question = item.question
        return cls(
            question_id=question.id,
            type=question.kind.question_type.value,
            prompt=question.prompt,
            choices=list(question.answer_format.choices) or None,
            rubric=public_rubric(question),
            version=question.version,
            answer_format=AnswerFormat.of(question.answer_format),
        )


class AssessmentStartResponse(Output):
    assessment_id: Id
    status: Literal["in_progress", "completed", "awaiting_async"]
    expires_at: Moment
    questions: list[QuestionSnapshot]


class StoredAnswer(Output):
    question_id: Id
    answer: Annotated[Any, WithJsonSchema(ANSWER_SCHEMA)]

    @classmethod
    def of(cls, item: Item) -> "StoredAnswer":
        """Return the answer of the item, which must have one, in the form in which the client sent it."""
        return cls(question_id=item.question.id, answer=None if item.answer is None else answer_json(item.answer))


class AssessmentQuestions(Output):
    """The questions and the stored answers, so that a client can continue after a break."""

    assessment_id: Id
    status: Status
    expires_at: Moment
    questions: list[QuestionSnapshot]
    responses: list[StoredAnswer]


class AssessmentSubmissionAck(Output):
    """`async_job_enqueued` is true when the submission is stored, even if the workflow engine is unavailable."""

    assessment_id: Id
    status: Literal["in_progress", "awaiting_async", "completed"]
    async_job_enqueued: bool
    message: str


class Progress(Output):
    answered: int
    total: int


class SkillScore(Output):
    """`score` 0..1 is absent without evidence; `target` is the role's target at the time of the result."""

    skill: str
    score: float | None = None
    target: float


IN_REVIEW: Final = "in_review"
"""The stage of a result that waits for its release."""

_RELEASED: Final = "Whether students see the current result. `false`: it is held. Absent: there is no result"
_RELEASED_AT: Final = "The time since when the student sees the result that they see"


class AssessmentStatus(Output):
    """The status of an assessment. `stage` is the current step while the result is prepared.

    The stages are `queued`, `scoring`, `retrieving`, `recommending` and `publishing`.
    For students and API keys, an assessment whose result is held is `awaiting_async` with the stage `in_review`.
    """

    assessment_id: Id
    role_id: Id
    status: Status
    progress: Progress
    degraded: bool
    last_updated_at: Moment
    expires_at: Moment
    completed_at: Moment | None = None
    revision: int = Field(description="0 before the first result")
    healing: Literal["none", "due", "final", "stopped"]
    failure_reason: str | None = None
    stage: str | None = None
    needs_review: bool = Field(description="Whether an essay waits for a reviewer")
    score: OverallScore | None = Field(
        default=None, description="The score of the result. Absent without a result and in old results"
    )
    skills: list[SkillScore] | None = Field(default=None, description="Absent without a result")
    released: bool | None = Field(default=None, description=_RELEASED)
    released_at: Moment | None = Field(default=None, description=_RELEASED_AT)


class Student(Output):
    user_id: Id
    name: str | None = None
    email: str


class RoleName(Output):
    role_id: Id
    name: str


class ReviewSummary(Output):
    """`waiting` is the number of essays that wait for a review, `reasons` says why."""

    waiting: int
    reasons: list[ReviewReason]


class AssessmentSummary(Output):
    """An assessment in a list. `stage` is `in_review` if its result is held and the caller may not see it.

    `student`, `role`, `submitted_at` and `review` are only for advisors and admins. If the organization reviews
    blindly, `student` and `user_id` are absent while an essay of the assessment waits for a review.
    """

    assessment_id: Id
    user_id: Id | None = None
    role_id: Id
    status: Status
    degraded: bool
    needs_review: bool
    revision: int
    started_at: Moment
    expires_at: Moment
    completed_at: Moment | None = None
    stage: Literal["in_review"] | None = None
    released: bool | None = Field(default=None, description=_RELEASED)
    released_at: Moment | None = Field(default=None, description=_RELEASED_AT)
    student: Student | None = None
    role: RoleName | None = None
    submitted_at: Moment | None = None
    review: ReviewSummary | None = None

    @classmethod
    def of(cls, view: AssessmentView) -> "AssessmentSummary":
        return cls.read(view, stage=IN_REVIEW if view.in_review else None, submitted_at=None)

    @classmethod
    def for_staff(cls, view: ListedAssessment) -> "AssessmentSummary":
        student = None
        if view.student_email is not None:
            student = Student(user_id=view.user_id, name=view.student_name, email=view.student_email)
        return cls.read(
            view,
            user_id=None if view.anonymous else view.user_id,
            stage=IN_REVIEW if view.in_review else None,
            student=student,
            role=RoleName(role_id=view.role_id, name=view.role_name),
            review=ReviewSummary(waiting=view.waiting, reasons=view.reasons),
        )


class AssessmentList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[AssessmentSummary]
    next_cursor: str | None = None
