"""Schemas of an assessment's items with answers, keys, scores and history."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, WithJsonSchema

from api.schemas.assessments import ANSWER_SCHEMA, AnswerFormat, Status
from api.schemas.base import Id, Moment, Number, Output
from api.schemas.results import OverallScore
from api.services.assessed_items import AssessedItem, AssessedItems, ItemReview
from domain.assessments.answers import answer_json, public_rubric
from domain.assessments.questions import (
    EssayRubric,
    MultipleChoiceRubric,
    NumberRubric,
    Question,
    ScaleRubric,
    SingleChoiceRubric,
)
from domain.grading.scores import CopiedFrom

LEVELS = "Level by criterion"


class AnswerKey(Output):
    """The right answer. Choices have `correct`, numbers `value` and tolerance, profile questions `evidence`."""

    correct: list[str] | None = None
    value: Number | None = None
    tolerance: Number | None = None
    tolerance_kind: Literal["absolute", "relative"] | None = None
    evidence: dict[str, Number] | None = Field(default=None, description="Evidence 0..1 by choice")
    explanation: str | None = None

    @classmethod
    def of(cls, question: Question) -> Self | None:
        match question.rubric:
            case SingleChoiceRubric(correct=correct, explanation=explanation):
                return cls(correct=[correct], explanation=explanation)
            case MultipleChoiceRubric(correct=choices, explanation=explanation):
                return cls(correct=list(choices), explanation=explanation)
            case NumberRubric() as rubric:
                return cls(
                    value=rubric.value,
                    tolerance=rubric.tolerance,
                    tolerance_kind=rubric.tolerance_kind,
                    explanation=rubric.explanation,
                )
            case ScaleRubric(evidence=evidence):
                return cls(evidence=dict(evidence))
            case EssayRubric():
                return None


class AnchorAnswer(Output):
    """An example answer of the rubric with known levels."""

    text: str
    levels: dict[str, str] = Field(description=LEVELS)


class AnswerQuote(Output):
    """A passage of the answer that supports a level: `text` is `answer[start:end]`.

    `start` and `end` count Unicode code points, as Python does. JavaScript counts UTF-16 code units: use
    `Array.from(answer).slice(start, end).join("")`. Both are absent if the answer does not contain the quote in one
    piece, or is deleted; `text` is then the quote as the grader wrote it.
    """

    text: str
    start: int | None = Field(default=None, ge=0)
    end: int | None = Field(default=None, ge=0)


class ItemCriterion(Output):
    criterion: str
    level: str
    points: float
    rationale: str
    confidence: float
    quotes: list[AnswerQuote]
    sample_levels: list[str] | None = Field(
        default=None,
        description="For advisors and admins: the level in each sample of the language model, in the order of the"
        " samples. They differ where the model is unsure. Absent for other graders and in old scores",
    )


class CopySource(Output):
    """An earlier answer of another student to the same question, from which a part of the answer was copied."""

    assessment_id: Id
    item_id: Id
    share: float = Field(ge=0, le=1, description="The share of this answer's words that was found there")

    @classmethod
    def of(cls, source: CopiedFrom) -> Self:
        return cls(assessment_id=source.assessment_id, item_id=source.snapshot_id, share=float(source.share))


class ItemGrade(Output):
    """The score of an item; the fields as in `ItemScore`. `points` is absent if the grader abstained."""

    points: float | None = None
    max_points: float
    fraction: float | None = None
    rule: str | None = None
    explanation: str | None = None
    criteria: list[ItemCriterion] | None = None
    feedback: str | None = None
    model: str | None = None
    prompt_version: str | None = None
    rubric_version: str | None = None
    confidence: float | None = None
    needs_review: bool = False
    reviewed: bool = False
    flags: list[str] | None = None
    copied_from: list[CopySource] | None = Field(
        default=None, description="For advisors and admins: the sources of a `copied_answer`, the largest share first"
    )

    @classmethod
    def of(cls, assessed: AssessedItem, *, staff: bool) -> Self | None:
        if assessed.score is None:
            return None
        criteria = [_criterion(each, assessed, staff=staff) for each in assessed.score.get("criteria") or []]
        sources = [CopySource.of(each) for each in assessed.copied_from] if staff else []
        return cls.model_validate({**assessed.score, "criteria": criteria or None, "copied_from": sources or None})


class Reviewer(Output):
    user_id: Id
    name: str | None = None
    email: str | None = Field(default=None, description="Absent after the reviewer's account was erased")


class ReviewRecord(Output):
    """A review of the essay. `levels_before` are the levels of the result that the reviewer saw."""

    review_id: Id
    created_at: Moment
    levels_before: dict[str, str] | None = Field(
        default=None, description=f"{LEVELS}. Absent if the essay had no levels"
    )
    levels: dict[str, str] = Field(description=LEVELS)
    comment: str | None = Field(default=None, description="For the student: it is part of the essay's feedback")
    published_revision: int | None = Field(default=None, description="Absent until a result includes the review")
    reviewer: Reviewer | None = Field(default=None, description="For advisors and admins")

    @classmethod
    def of(cls, review: ItemReview, *, staff: bool) -> Self:
        entry = review.entry
        reviewer = {"user_id": entry.reviewer_id, "name": entry.reviewer_name, "email": entry.reviewer_email}
        return cls.read(entry, levels_before=review.levels_before, reviewer=reviewer if staff else None)


class RevisionRecord(Output):
    """The item's score in one revision of the result."""

    revision: int
    published_at: Moment
    points: Number | None = Field(default=None, description="Absent if the grader abstained")
    levels: dict[str, str] | None = Field(default=None, description=f"{LEVELS}, for essays")


class AssessmentItem(Output):
    """A question as it was asked, with the student's answer. `key` and `anchors` are for advisors and admins.

    `rubric` is the same as in the questions route: points per level and descriptors, without the right answer.
    """

    question_id: Id
    type: Literal["multiple_choice", "essay", "profile"]
    prompt: str
    choices: list[str] | None = None
    answer_format: AnswerFormat
    rubric: dict[str, Any]
    version: str
    answer: Annotated[Any, WithJsonSchema(ANSWER_SCHEMA)] = Field(
        default=None, description="Absent if the question was not answered, or if retention has deleted the answer"
    )
    key: AnswerKey | None = None
    anchors: list[AnchorAnswer] | None = None
    score: ItemGrade | None = Field(default=None, description="Absent before the first result")
    reviews: list[ReviewRecord] = Field(description="Oldest first. Students see those that their result includes")
    revisions: list[RevisionRecord] = Field(description="Oldest first; empty before the first result")

    @classmethod
    def of(cls, assessed: AssessedItem, *, staff: bool) -> Self:
        item = assessed.item
        question = item.question
        rubric = question.rubric
        anchors = rubric.anchors if isinstance(rubric, EssayRubric) and staff else ()
        return cls(
            question_id=question.id,
            type=question.kind.question_type.value,
            prompt=question.prompt,
            choices=list(question.answer_format.choices) or None,
            answer_format=AnswerFormat.of(question.answer_format),
            rubric=public_rubric(question),
            version=question.version,
            answer=None if item.answer is None else answer_json(item.answer),
            key=AnswerKey.of(question) if staff else None,
            anchors=[AnchorAnswer(text=each.text, levels=dict(each.levels)) for each in anchors] or None,
            score=ItemGrade.of(assessed, staff=staff),
            reviews=[ReviewRecord.of(each, staff=staff) for each in assessed.reviews],
            revisions=[RevisionRecord.model_validate(each) for each in assessed.revisions],
        )


class AssessmentItems(Output):
    """The items in the order of the assessment. `revision` is the revision of the scores, 0 without a result."""

    assessment_id: Id
    status: Status
    revision: int
    score: OverallScore | None = Field(default=None, description="Absent without a result and in old results")
    items: list[AssessmentItem]

    @classmethod
    def of(cls, assessment_id: UUID, status: str, revision: int, found: AssessedItems, *, staff: bool) -> Self:
        values = {
            "assessment_id": assessment_id,
            "status": status,
            "revision": revision,
            "score": (found.document or {}).get("score"),
            "items": [AssessmentItem.of(each, staff=staff) for each in found.items],
        }
        return cls.model_validate(values)


def _criterion(score: Mapping[str, Any], assessed: AssessedItem, *, staff: bool) -> ItemCriterion:
    key = score["criterion"]
    return ItemCriterion(
        criterion=key,
        level=score["level"],
        points=score["points"],
        rationale=score["rationale"],
        confidence=score["confidence"],
        quotes=[AnswerQuote.model_validate(quote) for quote in assessed.quotes[key]],
        sample_levels=(list(assessed.sample_levels.get(key, ())) or None) if staff else None,
    )
