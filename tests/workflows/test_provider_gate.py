"""The gate of a provider and the runs that wait for it, with scripted activities and time skipping."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.await_provider import AWAITED
from activities.begin_revision import EssayToRegrade, RevisionPlan
from activities.failures import FailureInterceptor
from activities.probe_provider import Probe, ProbeInput
from activities.release_results import Released, ReleaseInput
from domain.assessments.lifecycle import Healing
from domain.errors import NotFound
from domain.healing import Provider
from tests.workflows.sandbox import STRICT
from tests.workflows.scripted import RevisionHandle, WorkflowHarness
from tests.workflows.test_essays import failing
from workflows.policies import (
    GATE_FIRST_PAUSE,
    GATE_LONGEST_PAUSE,
    HEALING_ENDS_AFTER,
    HEALING_FIRST,
    RELEASE_EVERY,
    RELEASED_AT_ONCE,
    Queue,
)
from workflows.provider_gate import PROBES_PER_RUN, GateInput, GateResult, ProviderGateWorkflow, details
from workflows.revision import RevisionWorkflow

MOST_EVENTS_A_WEEK = 32
"""29, and 3 more when the server plans another workflow task for the end of the wait."""
ORGANIZATION = uuid4()
AWAY = Probe(waiting=3, failure="ModelUnavailable: away")
HEAL = RevisionPlan(run=1, revision=2, healing=True, essays=(EssayToRegrade(essay=uuid4(), epoch=0),))


@dataclass
class ScriptedGate:
    """`waiting` are the results that wait. `probes` are returned first; later probes succeed."""

    waiting: list[UUID] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    probed: list[tuple[ProbeInput, datetime]] = field(default_factory=list)
    released: list[tuple[ReleaseInput, int]] = field(default_factory=list)

    @activity.defn
    async def probe_model(self, wanted: ProbeInput) -> Probe:
        self.probed.append((wanted, activity.info().current_attempt_scheduled_time))
        return self.probes.pop(0) if self.probes else Probe(waiting=len(self._after(wanted.after)))

    @activity.defn
    async def release_results(self, wanted: ReleaseInput) -> Released:
        batch = self._after(wanted.after)[: wanted.limit]
        self.released.append((wanted, len(batch)))
        return Released(number=len(batch), last=batch[-1] if len(batch) == wanted.limit else None)

    def _after(self, after: UUID | None) -> list[UUID]:
        return [each for each in sorted(self.waiting) if after is None or each > after]


@dataclass
class GateHarness:
    environment: WorkflowEnvironment
    activities: ScriptedGate
    queue: str

    async def start(self) -> WorkflowHandle[ProviderGateWorkflow, GateResult]:
        return await self.environment.client.start_workflow(
            ProviderGateWorkflow.run,
            GateInput(provider=Provider.LANGUAGE_MODEL, organization_id=ORGANIZATION),
            id=f"provider-gate-{uuid4()}",
            task_queue=self.queue,
        )

    @property
    def pauses(self) -> list[timedelta]:
        """The time between the probes."""
        times = [at for _, at in self.activities.probed]
        return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.fixture
async def gate(environment: WorkflowEnvironment) -> AsyncIterator[GateHarness]:
    activities, suffix = ScriptedGate(waiting=[uuid4()]), f"-{uuid4()}"
    async with (
        Worker(
            environment.client,
            task_queue=Queue.ASSESSMENTS + suffix,
            workflows=[ProviderGateWorkflow],
            workflow_runner=STRICT,
            activities=[activities.release_results],
            interceptors=[FailureInterceptor()],
        ),
        Worker(environment.client, task_queue=Queue.LLM + suffix, activities=[activities.probe_model]),
    ):
        yield GateHarness(environment, activities, Queue.ASSESSMENTS + suffix)


async def test_a_gate_that_no_result_waits_for_ends_without_a_release(gate: GateHarness) -> None:
    gate.activities.waiting = []

    assert (await (await gate.start()).result()).released == 0

    assert gate.activities.released == []


async def test_the_waiting_results_are_released_when_the_provider_answers(gate: GateHarness) -> None:
    gate.activities.probes = [AWAY, AWAY]

    assert (await (await gate.start()).result()).released == 1

    assert [number for _, number in gate.activities.released] == [1]


async def test_the_pauses_between_probes_double_up_to_the_longest(gate: GateHarness) -> None:
    gate.activities.probes = [AWAY] * 8

    await (await gate.start()).result()

    expected = [min(GATE_FIRST_PAUSE * 2**failures, GATE_LONGEST_PAUSE) for failures in range(8)]
    assert all(pause >= least for pause, least in zip(gate.pauses, expected, strict=True))
    assert expected[-1] == GATE_LONGEST_PAUSE


async def test_a_wait_that_the_provider_asks_for_is_respected(gate: GateHarness) -> None:
    gate.activities.probes = [Probe(waiting=1, failure="ModelBusy: later", retry_after_s=7200)]

    await (await gate.start()).result()

    assert gate.pauses[0] >= timedelta(hours=2)


async def test_the_signal_ends_a_pause(gate: GateHarness) -> None:
    gate.activities.probes = [Probe(waiting=1, failure="ModelBusy: later", retry_after_s=10**6)]
    handle = await gate.start()
    await gate.environment.sleep(timedelta(minutes=1))

    await handle.signal(ProviderGateWorkflow.probe_now)

    assert (await handle.result()).released == 1
    assert gate.pauses[0] < timedelta(days=1)


async def test_results_are_released_at_the_declared_rate_with_a_probe_before_each_batch(gate: GateHarness) -> None:
    gate.activities.waiting = [uuid4() for _ in range(2 * RELEASED_AT_ONCE + 5)]

    assert (await (await gate.start()).result()).released == 2 * RELEASED_AT_ONCE + 5

    assert [number for _, number in gate.activities.released] == [RELEASED_AT_ONCE, RELEASED_AT_ONCE, 5]
    assert len(gate.activities.probed) == 3
    assert all(pause >= RELEASE_EVERY for pause in gate.pauses)


async def test_a_failure_between_batches_stops_the_release_which_then_starts_again(gate: GateHarness) -> None:
    gate.activities.waiting = [uuid4() for _ in range(RELEASED_AT_ONCE + 1)]
    gate.activities.probes = [Probe(waiting=RELEASED_AT_ONCE + 1), AWAY]

    await (await gate.start()).result()

    (first, _), (again, _), (rest, _) = gate.activities.released
    assert (first.after, again.after) == (None, None)
    assert first.key != again.key
    assert rest.key == again.key


async def test_an_outage_of_days_grows_no_history(gate: GateHarness) -> None:
    gate.activities.probes = [AWAY] * (PROBES_PER_RUN + 5)
    before = await gate.environment.get_current_time()

    handle = await gate.start()
    await handle.result()

    assert await gate.environment.get_current_time() - before >= timedelta(days=2)
    first = gate.environment.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    assert len((await first.fetch_history()).events) < 4_000
    assert len(gate.activities.probed) == PROBES_PER_RUN + 6


async def test_a_probe_that_crashes_counts_as_a_failed_one(gate: GateHarness) -> None:
    crashes = failing(lambda: ApplicationError("Crashed", type="CorruptData", non_retryable=True), times=1)
    original = gate.activities.probe_model

    @activity.defn(name="probe_model")
    async def crashing(wanted: ProbeInput) -> Probe:
        crashes()
        return await original(wanted)

    suffix = f"-{uuid4()}"
    async with (
        Worker(
            gate.environment.client,
            task_queue=Queue.ASSESSMENTS + suffix,
            workflows=[ProviderGateWorkflow],
            workflow_runner=STRICT,
            activities=[gate.activities.release_results],
        ),
        Worker(gate.environment.client, task_queue=Queue.LLM + suffix, activities=[crashing]),
    ):
        gate.queue = Queue.ASSESSMENTS + suffix
        assert (await (await gate.start()).result()).released == 1


def test_the_details_name_the_failure_the_waiting_runs_and_the_action() -> None:
    state = GateInput(
        provider=Provider.LANGUAGE_MODEL,
        organization_id=ORGANIZATION,
        failures=2,
        last_failure="ModelUnavailable: away",
    )

    shown = details(state, "Waiting for the provider", 7, None)

    assert "Waiting results: 7" in shown
    assert "Last failure: ModelUnavailable: away" in shown
    assert f"OrganizationId = '{ORGANIZATION}'" in shown
    assert "send `probe_now`" in shown


def still_waiting(harness: WorkflowHarness) -> None:
    """The activity that waits fails, as it does until a gate releases the run."""

    def awaited() -> ApplicationError:
        return ApplicationError("Waits for provider-gate", type=AWAITED, category=ApplicationErrorCategory.BENIGN)

    harness.activities.script["await_provider"] = failing(awaited)


async def events(handle: RevisionHandle) -> int:
    return len((await handle.fetch_history()).events)


async def test_a_run_that_waits_for_a_week_has_few_events_and_does_not_call_the_provider(
    harness: WorkflowHarness,
) -> None:
    still_waiting(harness)
    harness.activities.plans = [HEAL] * 1000
    before = await harness.environment.get_current_time()

    handle = await harness.revise()
    outcome = await handle.result()

    assert outcome.healing is Healing.FINAL
    assert await harness.environment.get_current_time() - before >= HEALING_ENDS_AFTER
    assert await events(handle) <= MOST_EVENTS_A_WEEK
    assert harness.activities.bought == []


async def test_a_run_that_waits_looks_for_a_lost_gate_at_least_hourly(harness: WorkflowHarness) -> None:
    still_waiting(harness)

    await (await harness.revise()).result()

    assert harness.activities.calls.count("await_provider") >= HEALING_ENDS_AFTER // timedelta(hours=1)


async def test_a_released_run_heals(harness: WorkflowHarness) -> None:
    still_waiting(harness)
    harness.activities.plans = [HEAL]
    handle = await harness.revise()
    await harness.environment.sleep(HEALING_FIRST + timedelta(minutes=5))

    await handle.signal(RevisionWorkflow.provider_answers)

    assert (await handle.result()).revision == 2
    assert [wish.heal for wish in harness.activities.wishes] == [True, False]


async def test_a_release_during_the_first_pause_changes_nothing(harness: WorkflowHarness) -> None:
    harness.activities.plans = [HEAL]
    before = await harness.environment.get_current_time()

    await (await harness.revise(signal="provider_answers")).result()

    assert await harness.environment.get_current_time() - before >= HEALING_FIRST


async def test_a_review_is_published_while_the_result_waits_for_its_provider(harness: WorkflowHarness) -> None:
    still_waiting(harness)
    harness.activities.plans = [RevisionPlan(run=1, revision=2, reviews=True)]
    handle = await harness.revise()
    await harness.environment.sleep(HEALING_FIRST + timedelta(minutes=5))

    await handle.signal(RevisionWorkflow.reviewed)

    assert (await handle.result()).revision == 2
    assert [wish.heal for wish in harness.activities.wishes] == [False, False]


async def test_a_result_of_an_erased_user_ends_the_wait(harness: WorkflowHarness) -> None:
    harness.activities.script["await_provider"] = failing(lambda: NotFound("No such assessment"))

    handle = await harness.revise()

    with pytest.raises(Exception, match="Workflow execution failed"):
        await handle.result()
    assert harness.activities.ends == []


async def test_a_waiting_run_names_what_it_waits_for(harness: WorkflowHarness) -> None:
    still_waiting(harness)
    handle = await harness.revise()
    await harness.environment.sleep(HEALING_FIRST + timedelta(minutes=1))

    progress = await handle.query(RevisionWorkflow.progress)

    assert progress.awaits_provider
    await handle.cancel()
