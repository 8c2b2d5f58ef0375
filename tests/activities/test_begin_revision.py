"""The plan of a later revision, from the published result and the reviews."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from activities.begin_revision import BeginRevision, EssayToRegrade, RevisionPlan, RevisionRequest
from activities.blend_recommendations import BlendRecommendations
from activities.end_healing import EndHealing, HealingEnd
from activities.publish_result import PublishResult
from activities.retrieve_evidence import RetrieveEvidence
from activities.score_essay import EssayInput, ScoreEssay
from activities.score_essays_locally import EssaysInput, ScoreEssaysLocally
from activities.score_rules import ScoreRules
from activities.steps import RunInput
from domain.assessments.lifecycle import Assessment, Healing
from domain.assessments.results import Publication
from domain.database import Database
from domain.errors import NotFound
from domain.grading.rubrics import Essay, ungraded_essay
from domain.grading.scores import DegradedReason, EssayScore
from persistence.tables import (
    AuditLogRow,
    EssayReviewRow,
    EssayScoreRow,
    OrganizationRow,
    ResultRevisionRow,
    WebhookEventRow,
)
from tests.activities.builders import an_index, essays_of, left, run_of
from tests.activities.essay_scoring import ONE_SAMPLE
from tests.support.fake_graders import FakeEssayGrader, FakeGradingModel, graded_raw
from tests.support.fake_search import FakeEmbedder, FakeNearestLearners, InMemoryCredentialIndex

LOCAL = DegradedReason.ESSAY_GRADER_LOCAL


class Steps:
    """The activities of a revision, called one after the other."""

    def __init__(self, session: AsyncSession, database: Database) -> None:
        self._session = session
        self._database = database
        self._index: InMemoryCredentialIndex | None = None

    async def first(self, assessment: Assessment, reason: DegradedReason = LOCAL) -> Publication:
        """Publish a result with essays that the local grader scored."""
        run = run_of(assessment)
        await ScoreRules(self._database).score_rules(run)
        batch = EssaysInput(run=run, essays=left(await essays_of(self._database, assessment), reason))
        await ScoreEssaysLocally(self._database, FakeEssayGrader()).score_essays_locally(batch)
        return await self.publish(run)

    async def evidence(self, run: RunInput) -> None:
        self._index = self._index or await an_index(self._session)
        await RetrieveEvidence(self._database, FakeEmbedder(), self._index).retrieve_evidence(run)

    async def publish(self, run: RunInput) -> Publication:
        await self.evidence(run)
        await BlendRecommendations(self._database, FakeNearestLearners()).blend_recommendations(run)
        return await PublishResult(self._database).publish_result(run)

    async def begin(self, assessment: Assessment, *, heal: bool = True) -> RevisionPlan:
        return await BeginRevision(self._database).begin_revision(
            RevisionRequest(assessment_id=assessment.id, heal=heal)
        )

    async def grade(self, assessment: Assessment, plan: RevisionPlan, essay: UUID, level: int = 1) -> None:
        class Grader(FakeGradingModel):
            async def complete(self, wanted):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # as the base
                self.script = [graded_raw(wanted, level=level)]
                return await super().complete(wanted)

        wanted = EssayInput(run=run_in(assessment, plan), essay=essay)
        await ScoreEssay(self._database, Grader(), ONE_SAMPLE).score_essay(wanted)

    async def review(self, assessment: Assessment, essay: UUID, level: int) -> None:
        """Review the essay with the level at that position for every criterion."""
        async with self._database.transaction() as uow:
            items = {item.snapshot_id: item for item in await uow.assessments.items(assessment.id)}
        criteria = items[essay].question.rubric.criteria  # type: ignore[union-attr]  # a text
        row = {
            "id": uuid4(),
            "assessment_id": assessment.id,
            "question_snapshot_id": essay,
            "reviewer_id": assessment.user_id,
            "levels": {criterion.key: criterion.levels[level].name for criterion in criteria},
        }
        await self._session.execute(insert(EssayReviewRow), [row])


def run_in(assessment: Assessment, plan: RevisionPlan) -> RunInput:
    return RunInput(assessment_id=assessment.id, run=plan.run, revision=plan.revision)


@pytest.fixture
def steps(session: AsyncSession, database: Database) -> Steps:
    return Steps(session, database)


async def shown(session: AsyncSession, assessment: Assessment) -> dict[UUID, EssayScoreRow]:
    rows = await session.scalars(
        select(EssayScoreRow).where(EssayScoreRow.assessment_id == assessment.id),
        execution_options={"populate_existing": True},
    )
    return {row.question_snapshot_id: row for row in rows}


async def test_essays_that_a_failing_model_left_are_to_be_healed(
    database: Database, steps: Steps, assessment: Assessment
) -> None:
    publication = await steps.first(assessment)

    plan = await steps.begin(assessment)

    assert publication.heals
    assert plan.healing
    assert plan.revision == 2
    assert {each.essay for each in plan.essays} == set(await essays_of(database, assessment))


async def test_before_its_time_nothing_is_healed(steps: Steps, assessment: Assessment) -> None:
    await steps.first(assessment)

    plan = await steps.begin(assessment, heal=False)

    assert (plan.healing, plan.essays, plan.evidence) == (True, (), False)


@pytest.mark.parametrize(
    "reason",
    [
        DegradedReason.ESSAY_GRADER_NOT_CONFIGURED,
        DegradedReason.ESSAY_ATTEMPTS_EXCEEDED,
        DegradedReason.ESSAY_REFUSED_BY_PROVIDER,
        DegradedReason.ESSAY_TOO_LONG_FOR_MODEL,
    ],
)
async def test_a_permanent_reason_is_not_healed(steps: Steps, assessment: Assessment, reason: DegradedReason) -> None:
    assert not (await steps.first(assessment, reason)).heals

    assert not (await steps.begin(assessment)).healing


async def test_an_assessment_without_a_result_has_nothing_to_revise(steps: Steps, assessment: Assessment) -> None:
    assert await steps.begin(assessment) == RevisionPlan()


async def test_an_assessment_that_does_not_exist_is_an_error(steps: Steps, assessment: Assessment) -> None:
    with pytest.raises(NotFound):
        await BeginRevision(steps._database).begin_revision(RevisionRequest(assessment_id=uuid4(), heal=True))
    del assessment


async def test_a_healed_essay_makes_a_revision_and_the_other_keeps_its_score(
    session: AsyncSession, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    healed, kept = (each.essay for each in plan.essays)
    await steps.grade(assessment, plan, healed)

    publication = await steps.publish(run_in(assessment, plan))

    rows = await shown(session, assessment)
    assert (rows[healed].model, rows[kept].model) == ("fake-model", "local-fake")
    assert (publication.revision, publication.degraded_reasons, publication.heals) == (2, (LOCAL,), True)
    assert [each.essay for each in (await steps.begin(assessment)).essays] == [kept]


async def test_when_everything_is_healed_nothing_is_degraded_any_more(
    session: AsyncSession, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    for each in plan.essays:
        await steps.grade(assessment, plan, each.essay)

    publication = await steps.publish(run_in(assessment, plan))

    assert (publication.degraded_reasons, publication.heals) == ((), False)
    assert await steps.begin(assessment) == RevisionPlan(run=1, revision=3)
    events = await session.scalars(select(WebhookEventRow.event_type).order_by(WebhookEventRow.created_at))
    assert events.all() == ["assessment.completed", "assessment.updated"]


async def test_healing_that_takes_points_away_asks_for_a_review_and_says_so(
    session: AsyncSession, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    lowered = plan.essays[0].essay
    await steps.grade(assessment, plan, lowered, level=0)

    publication = await steps.publish(run_in(assessment, plan))

    row = (await shown(session, assessment))[lowered]
    assert "lowered_by_healing" in row.response_payload["flags"]
    assert publication.needs_review
    event = await session.scalar(select(WebhookEventRow).where(WebhookEventRow.event_type == "assessment.updated"))
    assert event
    assert event.payload["data"]["lowered"] is True


async def test_a_revision_whose_attempt_published_nothing_restarts_its_steps(
    steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    await steps.grade(assessment, plan, plan.essays[0].essay)

    assert await steps.begin(assessment) == plan


async def test_the_plan_contains_the_epoch_of_the_last_answers(steps: Steps, assessment: Assessment) -> None:
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    essay = plan.essays[0].essay
    wanted = EssayInput(run=run_in(assessment, plan), essay=essay, epoch=2)
    await ScoreEssay(steps._database, FakeGradingModel(b"rejected"), ONE_SAMPLE).score_essay(wanted)

    assert EssayToRegrade(essay=essay, epoch=2) in (await steps.begin(assessment)).essays


async def test_a_review_comes_before_healing_and_wins_over_it(
    session: AsyncSession, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    essay = (await steps.begin(assessment)).essays[0].essay
    await steps.review(assessment, essay, 2)

    plan = await steps.begin(assessment)
    publication = await steps.publish(run_in(assessment, plan))

    assert (plan.reviews, plan.essays) == (True, ())
    row = (await shown(session, assessment))[essay]
    assert row.response_payload["reviewed"] is True
    assert {rating["rationale"] for rating in row.response_payload["ratings"]} == {"Set by a reviewer."}
    assert publication.revision == 2
    after = await steps.begin(assessment)
    assert not after.reviews
    assert essay not in {each.essay for each in after.essays}


async def test_a_review_that_comes_after_the_gaps_makes_the_next_revision(
    session: AsyncSession, database: Database, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    first, second = (each.essay for each in (await steps.begin(assessment)).essays)
    await steps.review(assessment, first, 2)
    run = run_in(assessment, await steps.begin(assessment))
    await steps.evidence(run)
    await steps.review(assessment, second, 2)

    await steps.publish(run)

    rows = await shown(session, assessment)
    assert [rows[each].response_payload["reviewed"] for each in (first, second)] == [True, False]
    assert (await steps.begin(assessment)).reviews
    del database


async def test_a_revision_costs_what_was_paid_for_rejected_answers_too(
    session: AsyncSession, database: Database, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    healed, rejected = (each.essay for each in plan.essays)
    await steps.grade(assessment, plan, healed)
    wanted = EssayInput(run=run_in(assessment, plan), essay=rejected)
    await ScoreEssay(database, FakeGradingModel(b"rejected"), ONE_SAMPLE).score_essay(wanted)

    await steps.publish(run_in(assessment, plan))

    costs = {row.cost_cents for row in (await shown(session, assessment)).values()}
    assert costs == {Decimal("0.25")}


class AbstainingGrader:
    """An EssayGrader that can grade no essay."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        return [ungraded_essay(essay) for essay in essays]


async def test_published_points_stay_for_review_when_a_local_grading_fails_while_healing(
    session: AsyncSession, database: Database, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    essay, run = plan.essays[0].essay, run_in(assessment, plan)
    published = (await shown(session, assessment))[essay].score
    batch = EssaysInput(run=run, essays=left([essay], DegradedReason.ESSAY_REFUSED_BY_PROVIDER))
    await ScoreEssaysLocally(database, AbstainingGrader()).score_essays_locally(batch)

    await steps.publish(run)

    async with database.transaction() as uow:
        scores = (await uow.results.published(assessment.id)).scores.essays
    score = next(score for score in scores if score.snapshot_id == essay)
    assert published is not None
    assert (score.points, score.needs_review, score.degraded_reason) == (published, True, DegradedReason.GRADER_FAILED)


async def test_every_revision_is_kept(session: AsyncSession, steps: Steps, assessment: Assessment) -> None:
    await steps.first(assessment)
    essay = (await steps.begin(assessment)).essays[0].essay
    for level in (2, 0):
        await steps.review(assessment, essay, level)
        await steps.publish(run_in(assessment, await steps.begin(assessment)))

    revisions = await session.scalars(select(ResultRevisionRow.revision).order_by(ResultRevisionRow.revision))
    assert revisions.all() == [1, 2, 3]


async def test_healing_that_is_given_up_stays_so_and_is_audited(
    session: AsyncSession, database: Database, steps: Steps, assessment: Assessment
) -> None:
    await steps.first(assessment)
    end = HealingEnd(assessment_id=assessment.id, healing=Healing.FINAL)

    assert await EndHealing(database).end_healing(end) is Healing.FINAL
    assert await EndHealing(database).end_healing(end) is Healing.FINAL

    assert not (await steps.begin(assessment)).healing
    actions = (await session.scalars(select(AuditLogRow.action))).all()
    assert actions.count("assessment.healing_final") == 1


async def test_healing_that_an_error_stopped_says_why(database: Database, steps: Steps, assessment: Assessment) -> None:
    await steps.first(assessment)

    await EndHealing(database).end_healing(
        HealingEnd(assessment_id=assessment.id, healing=Healing.STOPPED, reason="CorruptData")
    )

    async with database.transaction() as uow:
        after = await uow.assessments.get(assessment.id)
    assert (after.status, after.healing, after.failure_reason) == ("completed", Healing.STOPPED, "CorruptData")


async def hold(session: AsyncSession, assessment: Assessment, policy: str) -> None:
    mine = update(OrganizationRow).where(OrganizationRow.id == assessment.organization_id)
    await session.execute(mine.values(settings={"release": policy}))


async def events(session: AsyncSession, assessment: Assessment) -> set[str]:
    return set(
        await session.scalars(select(WebhookEventRow.event_type).where(WebhookEventRow.assessment_id == assessment.id))
    )


async def test_the_review_of_the_last_waiting_item_releases_a_held_result(
    session: AsyncSession, database: Database, steps: Steps, assessment: Assessment
) -> None:
    await hold(session, assessment, "doubtful_held")
    first = await steps.first(assessment, DegradedReason.ESSAY_REFUSED_BY_PROVIDER)
    one, other = await essays_of(database, assessment)
    held = [first.held]
    for essay in (one, other):
        await steps.review(assessment, essay, level=0)
        plan = await steps.begin(assessment)
        held.append((await steps.publish(run_in(assessment, plan))).held)

    assert held == [True, True, False]
    assert await events(session, assessment) == {"assessment.held", "assessment.completed", "assessment.released"}


async def test_healing_of_a_held_result_sends_no_event(
    session: AsyncSession, database: Database, steps: Steps, assessment: Assessment
) -> None:
    await hold(session, assessment, "all_held")
    await steps.first(assessment)
    plan = await steps.begin(assessment)
    one, _ = await essays_of(database, assessment)
    await steps.grade(assessment, plan, one)

    healed = await steps.publish(run_in(assessment, plan))

    assert (healed.revision, healed.held) == (2, True)
    assert await events(session, assessment) == {"assessment.held"}
