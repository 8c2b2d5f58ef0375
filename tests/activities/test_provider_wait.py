"""Waiting for a provider: who waits, what a probe does and pays, and who is released."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError

from activities.await_provider import AWAITED, AwaitInput, AwaitProvider
from activities.begin_revision import BeginRevision, RevisionRequest
from activities.end_healing import EndHealing, HealingEnd
from activities.probe_provider import ProbeInput, ProbeModel, ProbeSearch
from activities.release_results import ReleaseInput, ReleaseResults
from activities.retrieve_evidence import RetrieveEvidence
from activities.score_essay import EssayInput, EssayOutcome, ScoreEssay
from activities.steps import RunInput
from domain.assessments.lifecycle import Assessment, Healing
from domain.database import Database
from domain.errors import ModelKeyRefused, ModelUnavailable, TextRefused
from domain.grading.scores import DegradedReason
from domain.healing import Provider, providers_of
from domain.recommending.ports import CredentialIndex, SearchResult
from persistence.tables import RecommendationRow, UserRow
from tests.activities.builders import submitted
from tests.activities.essay_scoring import ONE_SAMPLE
from tests.activities.test_begin_revision import Steps
from tests.support.fake_graders import FakeGradingModel
from tests.support.fake_search import FakeEmbedder


@dataclass
class FakeGates:
    """A fake of the port `ProviderGates` that records its calls."""

    ensured: list[tuple[Provider, UUID]] = field(default_factory=list)
    released: list[tuple[UUID, str]] = field(default_factory=list)

    async def ensure(self, provider: Provider, organization_id: UUID) -> str:
        self.ensured.append((provider, organization_id))
        return f"provider-gate-{provider}"

    async def release(self, assessment_id: UUID, key: str) -> None:
        self.released.append((assessment_id, key))


class FailingSearch:
    """An index whose search is degraded."""

    async def search(self, queries: Any, *, limit: int) -> SearchResult:
        del limit
        return SearchResult(hits=((),) * len(queries), degraded_reason=DegradedReason.VECTOR_STORE_FALLBACK)


@pytest.fixture
def steps(session: AsyncSession, database: Database) -> Steps:
    return Steps(session, database)


@pytest.fixture
async def degraded(steps: Steps, assessment: Assessment) -> Assessment:
    """An assessment whose result waits for the language model."""
    await steps.first(assessment)
    return assessment


async def probed(database: Database, assessment: Assessment, model: FakeGradingModel) -> tuple[int, str | None]:
    probe = ProbeModel(database, ScoreEssay(database, model, ONE_SAMPLE))
    found = await probe.probe_model(ProbeInput(organization_id=assessment.organization_id))
    return found.waiting, found.failure


async def released(database: Database, assessment: Assessment, *, limit: int = 10) -> list[UUID]:
    gates = FakeGates()
    wanted = ReleaseInput(
        provider=Provider.LANGUAGE_MODEL,
        organization_id=assessment.organization_id,
        after=None,
        limit=limit,
        key="pass-1",
    )
    await ReleaseResults(database, gates).release_results(wanted)
    return [assessment_id for assessment_id, _ in gates.released]


def test_every_reason_that_heals_has_a_provider() -> None:
    for reason in DegradedReason:
        assert bool(providers_of([reason])) == reason.heals
    assert {reason for provider in Provider for reason in provider.reasons} == {
        reason for reason in DegradedReason if reason.heals
    }


async def test_a_degraded_result_waits_for_the_gate_of_its_organization(
    database: Database, degraded: Assessment
) -> None:
    gates = FakeGates()

    with pytest.raises(ApplicationError, match="provider-gate-language_model") as failure:
        await AwaitProvider(database, gates).await_provider(AwaitInput(assessment_id=degraded.id))

    assert failure.value.type == AWAITED
    assert gates.ensured == [(Provider.LANGUAGE_MODEL, degraded.organization_id)]


async def test_a_result_whose_healing_ended_waits_for_no_gate(database: Database, degraded: Assessment) -> None:
    await EndHealing(database).end_healing(HealingEnd(assessment_id=degraded.id, healing=Healing.FINAL))
    gates = FakeGates()

    await AwaitProvider(database, gates).await_provider(AwaitInput(assessment_id=degraded.id))

    assert gates.ensured == []


async def test_a_failed_probe_names_the_failure_and_pays_nothing(database: Database, degraded: Assessment) -> None:
    model = FakeGradingModel(ModelUnavailable("No connection"))

    assert await probed(database, degraded, model) == (1, "ModelUnavailable: No connection")


async def test_a_probe_asks_the_provider_once_however_many_results_wait(
    session: AsyncSession, database: Database, steps: Steps, degraded: Assessment
) -> None:
    others = [await submitted(session, user_id=degraded.user_id) for _ in range(3)]
    for other in others:
        await steps.first(other)
    model = FakeGradingModel(*[ModelKeyRefused("Refused")] * 4)

    assert (await probed(database, degraded, model))[0] == 4

    assert len(model.asked) == 1


async def test_the_completion_of_a_probe_is_not_paid_for_again(database: Database, degraded: Assessment) -> None:
    model = FakeGradingModel()
    assert await probed(database, degraded, model) == (1, None)
    plan = await BeginRevision(database).begin_revision(RevisionRequest(assessment_id=degraded.id, heal=True))
    run = RunInput(assessment_id=degraded.id, run=plan.run, revision=plan.revision)

    grader = ScoreEssay(database, model, ONE_SAMPLE)
    outcomes = [await grader.score_essay(EssayInput(run=run, essay=each.essay)) for each in plan.essays]

    assert {each.outcome for each in outcomes} == {EssayOutcome.SCORED}
    assert len(model.asked) == len(plan.essays)


async def test_a_refused_text_shows_that_the_provider_answers(database: Database, degraded: Assessment) -> None:
    assert await probed(database, degraded, FakeGradingModel(TextRefused("Refused"))) == (1, None)


async def test_a_user_who_is_being_erased_waits_for_nothing(
    session: AsyncSession, database: Database, degraded: Assessment
) -> None:
    await session.execute(update(UserRow).where(UserRow.id == degraded.user_id).values(status="erasing"))
    model = FakeGradingModel()

    assert await probed(database, degraded, model) == (0, None)
    assert await released(database, degraded) == []
    assert model.asked == []


async def test_only_results_that_need_the_provider_are_released(
    session: AsyncSession, database: Database, steps: Steps, degraded: Assessment
) -> None:
    other = await submitted(session, user_id=degraded.user_id)
    await steps.first(other)
    searched = update(RecommendationRow).where(RecommendationRow.assessment_id == other.id)
    await session.execute(searched.values(degraded_reasons=["vector_store_fallback"]))

    assert await released(database, degraded) == [degraded.id]


async def test_batches_continue_after_the_last_released_result(
    session: AsyncSession, database: Database, steps: Steps, degraded: Assessment
) -> None:
    other = await submitted(session, user_id=degraded.user_id)
    await steps.first(other)
    gates, ids = FakeGates(), sorted([degraded.id, other.id])
    release = ReleaseResults(database, gates)
    wanted = ReleaseInput(
        provider=Provider.LANGUAGE_MODEL,
        organization_id=degraded.organization_id,
        after=None,
        limit=1,
        key="pass-1",
    )

    first = await release.release_results(wanted)
    second = await release.release_results(
        ReleaseInput(
            provider=wanted.provider,
            organization_id=wanted.organization_id,
            after=first.last,
            limit=2,
            key=wanted.key,
        )
    )

    assert [assessment_id for assessment_id, _ in gates.released] == ids
    assert (first.last, second.last) == (ids[0], None)


@pytest.mark.parametrize("works", [True, False])
async def test_a_probe_of_the_search_searches_for_a_waiting_result(
    session: AsyncSession, database: Database, steps: Steps, degraded: Assessment, *, works: bool
) -> None:
    searched = update(RecommendationRow).where(RecommendationRow.assessment_id == degraded.id)
    await session.execute(searched.values(degraded_reasons=["vector_store_fallback"]))
    working = steps._index
    assert working
    index: CredentialIndex = working if works else FailingSearch()
    probe = ProbeSearch(database, RetrieveEvidence(database, FakeEmbedder(), index))

    found = await probe.probe_search(ProbeInput(organization_id=degraded.organization_id))

    assert (found.waiting, found.failure is None) == (1, works)
