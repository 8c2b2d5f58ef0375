"""Collect what the result page shows about each question: answer, highlighted quotes, points, levels and appeals."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from api.dependencies import Services
from api.pages.answer_fields import shown_answer
from api.pages.marked_text import Passage, passages
from api.schemas.results import ItemScore
from api.security.authorization import may_use
from api.security.tokens import Principal
from api.services.assessed_items import AssessedItem, ItemRevision, assessed_items
from domain.appeals import AppealState
from domain.assessments.answers import answer_json
from domain.assessments.questions import EssayRubric, Item
from domain.grading.quotes import LocatedQuote
from domain.organizations import OrganizationSettings
from persistence.queries.appeal_views import AppealFilter, AppealView
from persistence.queries.graded_items import GradedView
from persistence.queries.views import AccessScope, StatusView

_EVERY_FIELD: Final = dict.fromkeys(ItemScore.model_fields)
"""A score has only the fields of its kind; the others are None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedCriterion:
    """A criterion's level. `number` marks its quotes in the answer; `unplaced` are quotes that are not marked there."""

    number: int
    name: str
    rating: Mapping[str, Any]
    max_points: float | None
    unplaced: tuple[str, ...]

    @property
    def is_best(self) -> bool:
        return bool(self.max_points) and self.rating["points"] == self.max_points


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedQuestion:
    """A question with its score. `earlier` is the newest earlier revision with other points.

    `appeal` is the newest one. `may_appeal`: the viewer may open one now.
    """

    number: int
    question_id: UUID
    prompt: str
    answer: tuple[Passage, ...]
    is_essay: bool
    score: Mapping[str, Any]
    criteria: tuple[GradedCriterion, ...]
    earlier: ItemRevision | None
    appeal: AppealView | None
    may_appeal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeals:
    """The appeals of an assessment by question, and whether its student may open more of them."""

    by_question: Mapping[UUID, AppealView] = field(default_factory=dict)
    until: datetime | None = None
    left: int = 0

    @property
    def are_possible(self) -> bool:
        return self.left > 0 and self.until is not None and datetime.now(UTC) < self.until

    def may_open(self, item: Item) -> bool:
        """Return whether the rules of `AppealService.open` allow an appeal of this item now."""
        last = self.by_question.get(item.question.id)
        is_answered_essay = isinstance(item.question.rubric, EssayRubric) and item.answer is not None
        return self.are_possible and is_answered_essay and (last is None or last.state != AppealState.OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedQuestions:
    """`document` is the result as the viewer may see it, with all fields in each score."""

    document: Mapping[str, Any]
    questions: tuple[GradedQuestion, ...]
    appeals: Appeals


async def graded_questions(
    view: GradedView, status: StatusView, principal: Principal, services: Services, scope: AccessScope
) -> GradedQuestions:
    """Read the questions of an assessment that has a result which the viewer may see."""
    async with services.database.transaction() as uow:
        items = await uow.assessments.items(status.assessment_id)
        settings = await uow.organizations.settings(scope.organization_id)
    appeals = await _appeals(status, settings, principal, services, scope)
    found = await asyncio.to_thread(assessed_items, view, items)
    document = dict(found.document or {})
    document["scores"] = [_EVERY_FIELD | score for score in document["scores"]]
    questions = (_graded(number, each, appeals) for number, each in enumerate(found.items, 1) if each.score is not None)
    return GradedQuestions(document=document, questions=tuple(questions), appeals=appeals)


async def _appeals(
    status: StatusView, settings: OrganizationSettings, principal: Principal, services: Services, scope: AccessScope
) -> Appeals:
    if not may_use(principal, "open_appeal"):
        return Appeals()
    of_role = await services.appeals.queries.appeals(scope, AppealFilter(role_id=status.role_id), None)
    own = [each for each in reversed(of_role) if each.assessment_id == status.assessment_id]
    return Appeals(
        by_question={each.question_id: each for each in own},  # the newest one, because they are in order of time
        until=status.released_at and status.released_at + timedelta(days=settings.appeal_window_days),
        left=max(0, settings.appeals_per_role - len(of_role)),
    )


def _graded(number: int, assessed: AssessedItem, appeals: Appeals) -> GradedQuestion:
    item, score = assessed.item, _EVERY_FIELD | dict(assessed.score or {})
    rubric = item.question.rubric
    return GradedQuestion(
        number=number,
        question_id=item.question.id,
        prompt=item.question.prompt,
        answer=_answer(assessed, score["criteria"] or ()),
        is_essay=isinstance(rubric, EssayRubric),
        score=score,
        criteria=_criteria(assessed, rubric, score["criteria"] or ()) if isinstance(rubric, EssayRubric) else (),
        earlier=_earlier(assessed, score["points"]),
        appeal=appeals.by_question.get(item.question.id),
        may_appeal=appeals.may_open(item),
    )


def _answer(assessed: AssessedItem, ratings: Sequence[Mapping[str, Any]]) -> tuple[Passage, ...]:
    answer = assessed.item.answer
    if not isinstance(answer, str):
        text = shown_answer(None if answer is None else answer_json(answer))
        return (Passage(text),) if text else ()
    quotes = ((number, each) for number, rating in enumerate(ratings, 1) for each in _quotes(assessed, rating))
    return passages(answer, quotes)


def _criteria(
    assessed: AssessedItem, rubric: EssayRubric, ratings: Sequence[Mapping[str, Any]]
) -> tuple[GradedCriterion, ...]:
    known = {each.key: each for each in rubric.criteria}
    found = []
    for number, rating in enumerate(ratings, 1):
        criterion = known.get(rating["criterion"])
        found.append(
            GradedCriterion(
                number=number,
                name=criterion.name if criterion else rating["criterion"],
                rating=rating,
                max_points=float(criterion.max_points) if criterion else None,
                unplaced=tuple(each.text for each in _quotes(assessed, rating) if each.start is None),
            )
        )
    return tuple(found)


def _quotes(assessed: AssessedItem, rating: Mapping[str, Any]) -> tuple[LocatedQuote, ...]:
    return assessed.quotes.get(rating["criterion"], ())


def _earlier(assessed: AssessedItem, points: float | None) -> ItemRevision | None:
    def differs(revision: ItemRevision) -> bool:
        return (None if revision.points is None else float(revision.points)) != points

    return next((each for each in reversed(assessed.revisions[:-1]) if differs(each)), None)
