"""An assessment whose results and reviews a test determines, and what the review queue must be then."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from api.services.reviews import Judgement, ReviewService
from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import EssayRubric, Item
from domain.grading.review_queue import DOUBTS, review_reasons
from domain.grading.scores import EssayScore
from persistence.queries.views import AccessScope, Actor
from persistence.request_database import RequestUnitOfWork
from persistence.tables import AssessmentRow, EssayReviewRow, OrganizationRow, ReviewItemRow
from tests.support.builders import a_result, a_user, an_assessment, an_essay_score

NOW = datetime.now(UTC)
CONFIDENT: dict[str, Any] = {}
UNSURE: dict[str, Any] = {"needs_review": True, "confidence": Decimal("0.3")}
FLAGGED: dict[str, Any] = {"needs_review": True, "flags": ("unrelated",)}
ABSTAINED: dict[str, Any] = {"needs_review": True, "points": None, "fraction": None}
KINDS = (CONFIDENT, UNSURE, FLAGGED, ABSTAINED)

Queue = dict[UUID, tuple[frozenset[str], bool]]
"""The reasons by snapshot id, and whether the essay waits."""


@dataclass
class Course:
    """An assessment with two essays, whose results and reviews a test determines, and what the queue must be then."""

    session: AsyncSession
    uow_factory: async_sessionmaker[AsyncSession]
    assessment: Assessment
    advisor: Actor
    essays: list[Item]
    items: tuple[Item, ...]
    share: float
    current: dict[UUID, EssayScore] = field(default_factory=dict)
    appealed: set[UUID] = field(default_factory=set)

    def uow(self) -> RequestUnitOfWork:
        return RequestUnitOfWork(self.uow_factory)

    async def publish(self, changes: Mapping[UUID, EssayScore], *, with_reviews: bool = True) -> None:
        """Publish a revision as the worker does: the changed scores, then the reviews of the essays."""
        async with self.uow() as uow:
            assessment, now = await uow.assessments.lock(self.assessment.id)
            reviews = await uow.reviews.of(assessment.id) if with_reviews else ()
            scores = {**self.current, **changes}
            for review in reviews:
                scores[review.snapshot_id] = replace(
                    scores[review.snapshot_id],
                    points=Decimal(2),
                    fraction=Decimal("0.5"),
                    needs_review=False,
                    reviewed=True,
                )
            result = replace(a_result(self.items, ()), essay_scores=tuple(scores.values()))
            publication = await uow.results.publish(assessment, now, result)
            await uow.reviews.published([review.id for review in reviews], publication.revision)
            await uow.commit()
        self.current = scores

    async def review(self, item: Item) -> None:
        assert isinstance(item.question.rubric, EssayRubric)
        levels = {each.key: each.levels[0].name for each in item.question.rubric.criteria}
        scope = AccessScope(organization_id=self.assessment.organization_id)
        judgement = Judgement(levels=levels, comment=None)
        async with self.uow() as uow:
            await ReviewService(uow).review(self.assessment.id, item.question.id, scope, self.advisor, judgement)
            await uow.commit()

    async def appeal(self, item: Item) -> None:
        async with self.uow() as uow:
            await uow.review_queue.add_appeal(item.snapshot_id)
            await uow.commit()
        self.appealed.add(item.snapshot_id)

    async def answer_appeal(self, item: Item) -> None:
        async with self.uow() as uow:
            await uow.review_queue.close_appeal(item.snapshot_id)
            await uow.commit()
        self.appealed.discard(item.snapshot_id)

    async def repair(self, limit: int = 10) -> int:
        """Repair all pages. Return the number of corrected assessments."""
        number, after = 0, None
        async with self.uow() as uow:
            while True:
                repaired = await uow.review_queue.repair(after=after, limit=limit)
                number, after = number + repaired.number, repaired.next
                if after is None:
                    await uow.commit()
                    return number

    async def queue(self) -> Queue:
        rows = await self.session.execute(
            select(ReviewItemRow.question_snapshot_id, ReviewItemRow.reasons, ReviewItemRow.waiting).where(
                ReviewItemRow.assessment_id == self.assessment.id
            )
        )
        return {row.question_snapshot_id: (frozenset(row.reasons), row.waiting) for row in rows}

    async def expected(self) -> Queue:
        unpublished = set(
            await self.session.scalars(
                select(EssayReviewRow.question_snapshot_id).where(
                    EssayReviewRow.assessment_id == self.assessment.id, EssayReviewRow.published_revision.is_(None)
                )
            )
        )
        queue = {}
        for snapshot_id, score in self.current.items():
            reasons = frozenset(map(str, review_reasons(score, self.share)))
            if snapshot_id in self.appealed:
                reasons |= {"appealed"}
            if reasons:
                queue[snapshot_id] = (reasons, snapshot_id in self.appealed or snapshot_id not in unpublished)
        return queue

    async def needs_review(self) -> bool:
        row = select(AssessmentRow.needs_review).where(AssessmentRow.id == self.assessment.id)
        return bool(await self.session.scalar(row))

    async def check(self) -> None:
        queue = await self.queue()
        assert queue == await self.expected()
        assert await self.needs_review() == any(reasons & set(DOUBTS) for reasons, _ in queue.values())


async def a_course(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession], share: float = 0.0
) -> Course:
    assessment = await an_assessment(session, status="awaiting_async", submitted_at=NOW, claimed_at=NOW)
    await set_share(session, assessment, share)
    advisor_id = await a_user(session, assessment.organization_id, role="advisor")
    await session.commit()
    async with RequestUnitOfWork(session_factory) as uow:
        items = await uow.assessments.items(assessment.id)
    essays = [item for item in items if isinstance(item.question.rubric, EssayRubric)]
    advisor = Actor(id=advisor_id, role="advisor")
    return Course(session, session_factory, assessment, advisor, essays, items, share)


async def set_share(session: AsyncSession, assessment: Assessment, share: float) -> None:
    theirs = update(OrganizationRow).where(OrganizationRow.id == assessment.organization_id)
    await session.execute(theirs.values(settings={"audit_share": share}))


def graded(course: Course, *kinds: dict[str, Any]) -> dict[UUID, EssayScore]:
    return {
        item.snapshot_id: an_essay_score(item.snapshot_id, **kind)
        for item, kind in zip(course.essays, kinds, strict=True)
    }


async def rows(course: Course) -> dict[UUID, ReviewItemRow]:
    found = select(ReviewItemRow).where(ReviewItemRow.assessment_id == course.assessment.id)
    return {row.question_snapshot_id: row for row in await course.session.scalars(found)}
