"""The review queue equals the published results and the stored reviews, after every publication, review and repair."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from api.services.reviews import Judgement, ReviewService
from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import EssayRubric, Item
from domain.grading.review_queue import DOUBTS, ReviewReason, review_reasons
from domain.grading.scores import EssayScore
from domain.organizations import OrganizationSettings
from domain.privacy import RetentionRule
from persistence.queries.views import AccessScope, Actor
from persistence.request_database import RequestUnitOfWork
from persistence.tables import (
    AssessmentRow,
    EssayReviewRow,
    EssayScoreRow,
    OrganizationRow,
    ResponseRow,
    ReviewItemRow,
    UserRow,
)
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

    async def repair(self) -> int:
        async with self.uow() as uow:
            repaired = await uow.review_queue.repair(limit=10)
            await uow.commit()
        return repaired

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


@pytest.fixture
async def course(session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]) -> Course:
    return await a_course(session, session_factory)


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


# Publications and reviews


async def test_a_doubtful_essay_waits_with_everything_that_a_list_filters_by(course: Course) -> None:
    await course.publish(graded(course, CONFIDENT, FLAGGED))

    (row,) = (await rows(course)).values()
    essay = course.essays[1]
    assert (row.question_snapshot_id, row.question_id) == (essay.snapshot_id, essay.question.id)
    assert (row.organization_id, row.user_id, row.role_id) == (
        course.assessment.organization_id,
        course.assessment.user_id,
        course.assessment.role_id,
    )
    assert (row.reasons, row.waiting, row.revision, row.submitted_at) == (["flagged"], True, 1, NOW)


async def test_a_reviewed_essay_does_not_wait_and_leaves_with_the_next_revision(course: Course) -> None:
    await course.publish(graded(course, UNSURE, FLAGGED))
    await course.review(course.essays[0])
    before_publication = await course.queue()
    await course.publish({})

    first, second = (each.snapshot_id for each in course.essays)
    assert before_publication == {first: (frozenset({"low_confidence"}), False), second: (frozenset({"flagged"}), True)}
    assert await course.queue() == {second: (frozenset({"flagged"}), True)}


async def test_healing_that_removes_the_doubt_removes_the_essay(course: Course) -> None:
    await course.publish(graded(course, ABSTAINED, CONFIDENT))
    await course.publish(graded(course, CONFIDENT, CONFIDENT))

    assert await course.queue() == {}


async def test_a_review_that_a_revision_does_not_include_still_keeps_the_essay_from_waiting(course: Course) -> None:
    await course.publish(graded(course, UNSURE, CONFIDENT))
    await course.review(course.essays[0])
    await course.publish(graded(course, FLAGGED, CONFIDENT), with_reviews=False)

    assert await course.queue() == {course.essays[0].snapshot_id: (frozenset({"flagged"}), False)}


async def test_a_claim_survives_the_publication_of_another_essays_review(course: Course) -> None:
    await course.publish(graded(course, UNSURE, FLAGGED))
    second = course.essays[1].snapshot_id
    until = NOW + timedelta(minutes=9)
    await course.session.execute(
        update(ReviewItemRow)
        .where(ReviewItemRow.question_snapshot_id == second)
        .values(claimed_by=course.advisor.id, claimed_until=until)
    )
    await course.review(course.essays[0])
    await course.publish({})

    row = (await rows(course))[second]
    assert (row.claimed_by, row.claimed_until, row.revision) == (course.advisor.id, until, 2)


async def test_the_order_does_not_depend_on_the_time(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    courses = [await a_course(session, session_factory) for _ in range(6)]
    for course in courses:
        await course.publish(graded(course, UNSURE, UNSURE))

    keys = [row.order_key for course in courses for row in (await rows(course)).values()]

    assert len(set(keys)) == len(keys) == 12
    assert keys != sorted(keys)


async def test_priorities_follow_the_reasons(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, UNSURE))
    sampled, doubted = (each.snapshot_id for each in course.essays)
    before = {snapshot_id: row.priority for snapshot_id, row in (await rows(course)).items()}
    await course.appeal(course.essays[0])
    session.expire_all()

    assert before == {sampled: 2, doubted: 1}
    assert (await rows(course))[sampled].priority == 0


# Audit samples


async def test_an_audit_sample_does_not_mark_the_assessment(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, CONFIDENT))

    assert {reasons for reasons, _ in (await course.queue()).values()} == {frozenset({"audit_sample"})}
    assert not await course.needs_review()


async def test_a_sampled_essay_stays_sampled_over_revisions_until_it_is_reviewed(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    before = await course.queue()
    await course.publish({})
    revised = await course.queue()
    await course.review(course.essays[0])
    await course.publish({})

    assert revised == before
    assert (await course.queue()).keys() == {course.essays[1].snapshot_id}


async def test_without_the_setting_one_in_twenty_is_sampled(course: Course) -> None:
    await course.session.execute(update(OrganizationRow).values(settings={}))
    await course.publish(graded(course, CONFIDENT, CONFIDENT))

    course.share = OrganizationSettings().audit_share
    assert course.share == 0.05
    assert await course.queue() == await course.expected()


# Appeals


async def test_an_appeal_waits_through_reviews_and_revisions_until_it_is_answered(course: Course) -> None:
    essay = course.essays[0]
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    await course.appeal(essay)
    await course.appeal(essay)
    await course.review(essay)
    await course.publish({})
    waiting = await course.queue()
    await course.answer_appeal(essay)

    assert waiting == {essay.snapshot_id: (frozenset({"appealed"}), True)}
    assert await course.queue() == {}


async def test_a_doubtful_essay_waits_on_after_its_appeal_was_rejected(course: Course) -> None:
    essay = course.essays[0]
    await course.publish(graded(course, FLAGGED, CONFIDENT))
    await course.appeal(essay)
    await course.answer_appeal(essay)

    assert await course.queue() == {essay.snapshot_id: (frozenset({"flagged"}), True)}


async def test_a_doubtful_essay_with_an_upheld_appeal_waits_for_its_publication_only(course: Course) -> None:
    essay = course.essays[0]
    await course.publish(graded(course, FLAGGED, CONFIDENT))
    await course.appeal(essay)
    await course.review(essay)
    await course.answer_appeal(essay)

    assert await course.queue() == {essay.snapshot_id: (frozenset({"flagged"}), False)}


# Repair


async def test_results_of_a_release_without_the_queue_are_added(course: Course) -> None:
    await course.publish(graded(course, UNSURE, ABSTAINED))
    await course.session.execute(delete(ReviewItemRow))

    assert await course.repair() == 1
    assert await course.repair() == 0

    await course.check()


async def test_a_revision_of_a_release_without_the_queue_removes_the_essay(course: Course) -> None:
    await course.publish(graded(course, UNSURE, ABSTAINED))
    stale = [
        {column.key: getattr(row, column.key) for column in ReviewItemRow.__table__.c if column.computed is None}
        for row in (await rows(course)).values()
    ]
    await course.publish(graded(course, CONFIDENT, ABSTAINED))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(insert(ReviewItemRow), stale)

    assert await course.repair() == 1

    await course.check()


async def test_an_essay_whose_answer_was_deleted_is_not_added_and_needs_no_review(course: Course) -> None:
    await course.publish(graded(course, UNSURE, ABSTAINED))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == course.assessment.id))

    assert await course.repair() == 1
    assert await course.repair() == 0

    assert await course.queue() == {}
    assert not await course.needs_review()


async def test_a_score_that_cannot_be_read_is_left_to_a_reviewer(course: Course) -> None:
    await course.publish(graded(course, UNSURE, UNSURE))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(
        update(EssayScoreRow)
        .where(EssayScoreRow.question_snapshot_id == course.essays[0].snapshot_id)
        .values(response_payload={})
    )

    assert await course.repair() == 1

    assert {reasons for reasons, _ in (await course.queue()).values()} == {
        frozenset({"abstained"}),
        frozenset({"low_confidence"}),
    }


@pytest.mark.parametrize("status", ["erasing", "erased"])
async def test_results_of_erased_students_are_not_added(course: Course, status: str) -> None:
    await course.publish(graded(course, UNSURE, UNSURE))
    await course.session.execute(delete(ReviewItemRow))
    await course.session.execute(update(UserRow).where(UserRow.id == course.assessment.user_id).values(status=status))

    assert await course.repair() == 0


# Retention


async def answers(course: Course) -> int:
    found = select(ResponseRow.id).where(ResponseRow.assessment_id == course.assessment.id)
    return len((await course.session.scalars(found)).all())


async def retain(course: Course) -> None:
    long_ago = NOW - timedelta(days=31)
    await course.session.execute(update(AssessmentRow).values(completed_at=long_ago, released_at=None))
    async with course.uow() as uow:
        await uow.retention.apply(RetentionRule.ANSWERS, days=30, limit=10)
        await uow.commit()


async def test_answers_are_kept_until_a_doubtful_essay_is_reviewed(course: Course) -> None:
    await course.publish(graded(course, UNSURE, CONFIDENT))
    await retain(course)
    kept = await answers(course)
    await course.review(course.essays[0])
    await course.publish({})
    await retain(course)

    assert kept > 0
    assert await answers(course) == 0


async def test_answers_are_kept_until_an_appeal_is_answered(course: Course) -> None:
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    await course.appeal(course.essays[0])
    await retain(course)

    assert await answers(course) > 0


async def test_an_audit_sample_leaves_the_queue_with_its_answer(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession]
) -> None:
    course = await a_course(session, session_factory, share=1)
    await course.publish(graded(course, CONFIDENT, CONFIDENT))
    await retain(course)

    assert await answers(course) == 0
    assert await course.queue() == {}


# Any sequence


@pytest.mark.parametrize("seed", range(12))
async def test_the_queue_and_needs_review_agree_after_every_step(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession], seed: int
) -> None:
    choice = random.Random(seed)
    course = await a_course(session, session_factory, share=choice.choice((0.0, 0.3, 1.0)))
    await course.publish(graded(course, *(choice.choice(KINDS) for _ in course.essays)))
    await course.check()
    for _ in range(12):
        essay = choice.choice(course.essays)
        match choice.randrange(6):
            case 0:
                await course.review(essay)
            case 1:
                await course.publish({})
            case 2:  # healing grades an essay again that no reviewer has graded
                if not course.current[essay.snapshot_id].reviewed:
                    anew = an_essay_score(essay.snapshot_id, **choice.choice(KINDS))
                    await course.publish({essay.snapshot_id: anew}, with_reviews=choice.random() < 0.5)
            case 3:
                await course.appeal(essay)
            case 4:
                await course.answer_appeal(essay)
            case 5:
                assert await course.repair() == 0
        await course.check()


async def test_reasons_of_every_kind_can_be_stored(course: Course) -> None:
    await course.publish(graded(course, UNSURE, UNSURE))

    await course.session.execute(update(ReviewItemRow).values(reasons=[reason.value for reason in ReviewReason]))

    assert {row.priority for row in (await rows(course)).values()} == {0}
