"""Score a published result again with the current questions, and compare both results. All functions are pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from domain.assessments.answers import answer_json, check_answer
from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import EssayRubric, Item, Question, QuestionKind
from domain.assessments.results import Scores
from domain.errors import InvalidInput
from domain.grading.reviews import Review, reviewed
from domain.grading.rubrics import unanswered_essay
from domain.grading.rules import score_rule
from domain.grading.scores import EssayScore, ItemScore, RuleScore
from domain.recommending.skills import SkillGap
from domain.rescores.rescores import RescoreScope

QUESTION_WITHDRAWN: Final = "The question was withdrawn."
ANSWER_DELETED: Final = "The answer was deleted because its retention time ended."
REVIEW_DOES_NOT_FIT: Final = "The reviewer's levels do not fit the current rubric."
QUESTION_CHANGED_AGAIN: Final = "The question changed while the essay was being graded."
NO_SCORE: Final = "The published result has no score for this question."


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedCredential:
    credential_id: UUID
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSkill:
    """A skill in a published result. `score` None: unknown."""

    skill: str
    score: Decimal | None
    target: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedResult:
    """The current revision of an assessment. `items` have the questions by which its scores were calculated."""

    assessment: Assessment
    items: tuple[Item, ...]
    scores: Scores
    reviews: tuple[Review, ...] = ()
    skills: tuple[PublishedSkill, ...] = ()
    credentials: tuple[RecommendedCredential, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is computed again. `current` has the active questions by id; without `question_id`, all of them count."""

    scope: RescoreScope
    current: Mapping[UUID, Question]
    question_id: UUID | None = None

    def covers(self, item: Item) -> bool:
        chosen = self.question_id is None or item.question.id == self.question_id
        return chosen and self.scope.covers(item.question.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """A result with new scores. `items` have the questions by which they were calculated.

    `ungraded` are essays that a grader must grade first; they have their published scores here. `not_comparable` maps
    items that keep their published scores to the reason.
    """

    items: tuple[Item, ...]
    scores: Scores
    ungraded: tuple[UUID, ...] = ()
    not_comparable: Mapping[UUID, str] = field(default_factory=dict)

    def versions(self, before: PublishedResult) -> dict[UUID, str]:
        """Return the question version by snapshot of the items that are scored by another version than before."""
        old = {item.snapshot_id: item.question.version for item in before.items}
        return {
            item.snapshot_id: item.question.version
            for item in self.items
            if item.question.version != old[item.snapshot_id]
        }


def current_item(item: Item, current: Question | None, score: ItemScore | None) -> Item | str:
    """Return the item with the current question, or the reason why the stored answer cannot be scored by it."""
    if current is None:
        return QUESTION_WITHDRAWN
    if score is None:
        return NO_SCORE
    if current.kind is not item.question.kind:
        return f"The question's kind changed from {item.question.kind} to {current.kind}."
    if item.answer is None:
        return ANSWER_DELETED if _was_answered(score) else replace(item, question=current)
    try:
        answer = check_answer(current.answer_format, answer_json(item.answer))
    except InvalidInput as error:
        return f"The stored answer does not fit the current question: {error.problems[0].problem}."
    return replace(item, question=current, answer=answer)


def rescore(before: PublishedResult, task: Task, graded: Mapping[UUID, EssayScore | str] | None = None) -> Rescored:
    """Calculate the new scores. `graded` has the new scores of essays, or why an essay could not be graded.

    Items outside the task keep their scores. A reviewer's levels stay; only their points follow the current rubric.
    """
    return _Rescoring(before, task, graded or {}).result()


def gaps_changed(before: PublishedResult, gaps: Iterable[SkillGap]) -> bool:
    """Return whether a skill's score or target differs from the published one."""
    old = {skill.skill: (skill.score, skill.target) for skill in before.skills}
    return old != {gap.skill: (gap.score, gap.target) for gap in gaps}


def scores_changed(before: PublishedResult, after: Scores) -> bool:
    """Return whether the points, the maximum or the levels of an item differ, or a review was not published yet."""
    old, new = scores_by_item(before.scores), scores_by_item(after)
    unpublished = any(review.published_revision is None for review in before.reviews)
    return unpublished or any(_shown(old[key]) != _shown(new[key]) for key in new)


def scores_by_item(scores: Scores) -> dict[UUID, ItemScore]:
    found: dict[UUID, ItemScore] = {score.snapshot_id: score for score in scores.rules}
    return found | {score.snapshot_id: score for score in scores.essays}


def levels_of(score: ItemScore) -> dict[str, str]:
    """Return the levels of an essay by criterion; an empty mapping for other items and for abstentions."""
    return {rating.criterion: rating.level for rating in score.ratings} if isinstance(score, EssayScore) else {}


class _Rescoring:
    def __init__(self, before: PublishedResult, task: Task, graded: Mapping[UUID, EssayScore | str]) -> None:
        self._before = before
        self._task = task
        self._graded = graded
        self._old = scores_by_item(before.scores)
        self._reviews = {review.snapshot_id: review for review in before.reviews}
        self._ungraded: list[UUID] = []
        self._not_comparable: dict[UUID, str] = {}

    def result(self) -> Rescored:
        items: list[Item] = []
        rules: list[RuleScore] = []
        essays: list[EssayScore] = []
        for item in self._before.items:
            scored, score = self._scored(item)
            items.append(scored)
            match score:
                case RuleScore():
                    rules.append(score)
                case EssayScore():
                    essays.append(score)
                case None:
                    pass
        return Rescored(
            items=tuple(items),
            scores=Scores(
                rules=tuple(rules),
                essays=tuple(essays),
                reviews=tuple(review.id for review in self._before.reviews),
            ),
            ungraded=tuple(self._ungraded),
            not_comparable=self._not_comparable,
        )

    def _scored(self, item: Item) -> tuple[Item, ItemScore | None]:
        """Return the item with its new question and score, or both unchanged."""
        old = self._old.get(item.snapshot_id)
        if not self._task.covers(item):
            return item, self._with_review(item, old)
        new = current_item(item, self._task.current.get(item.question.id), old)
        score = self._score(new, old) if isinstance(new, Item) and old is not None else new
        if isinstance(score, RuleScore | EssayScore) and isinstance(new, Item):
            return new, score
        if isinstance(score, str):
            self._not_comparable[item.snapshot_id] = score
        return item, self._with_review(item, old)

    def _score(self, item: Item, old: ItemScore) -> ItemScore | str | None:
        """Return the new score, why the item cannot be scored, or None for an essay that is not graded yet."""
        if item.question.kind is not QuestionKind.TEXT:
            return score_rule(item)
        if item.answer is None:
            return unanswered_essay(item)
        if item.snapshot_id in self._reviews and isinstance(old, EssayScore):
            return self._as_reviewed(item, old)
        graded = self._graded.get(item.snapshot_id)
        if graded is None:
            self._ungraded.append(item.snapshot_id)
        elif isinstance(graded, EssayScore) and graded.rubric_version != item.question.version:
            return QUESTION_CHANGED_AGAIN
        return graded

    def _as_reviewed(self, item: Item, old: EssayScore) -> EssayScore | str:
        rubric, review = item.question.rubric, self._reviews[item.snapshot_id]
        if old.rubric_version == item.question.version and review.published_revision is not None:
            return old
        try:
            assert isinstance(rubric, EssayRubric)  # noqa: S101  # the kind was checked
            return replace(reviewed(rubric, old, review), rubric_version=item.question.version)
        except InvalidInput:
            return REVIEW_DOES_NOT_FIT

    def _with_review(self, item: Item, score: ItemScore | None) -> ItemScore | None:
        """Return the published score with a review that no revision includes yet."""
        review = self._reviews.get(item.snapshot_id)
        rubric = item.question.rubric
        if review is None or review.published_revision is not None or not isinstance(rubric, EssayRubric):
            return score
        return reviewed(rubric, score, review) if isinstance(score, EssayScore) else score


def _was_answered(score: ItemScore) -> bool:
    if isinstance(score, RuleScore):
        return score.rule != "unanswered"
    return score.model != "none" or score.degraded_reason is not None


def _shown(score: ItemScore) -> tuple[Decimal | None, Decimal, Mapping[str, str]]:
    return score.points, score.max_points, levels_of(score)


def total_points(scores: Sequence[ItemScore]) -> Decimal:
    """Return the sum of the points. An abstention counts as 0."""
    return sum((score.points for score in scores if score.points is not None), Decimal(0))
