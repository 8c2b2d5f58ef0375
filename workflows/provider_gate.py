"""The workflow of a provider's gate: it probes the provider and releases the degraded results that wait for it."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.probe_provider import MOST_COUNTED, Probe, ProbeInput, ProbeModel, ProbeSearch
    from activities.release_results import Released, ReleaseInput, ReleaseResults
    from domain.healing import Provider
    from workflows.pipeline import describe_failure
    from workflows.policies import (
        GATE_FIRST_PAUSE,
        GATE_LONGEST_PAUSE,
        RELEASE_EVERY,
        RELEASED_AT_ONCE,
        activity_options,
        versioning,
    )
    from workflows.progress import TIME

PROBES_PER_RUN: Final = 200
"""A run continues as new after this number of probes, so that no history grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInput:
    """The other fields are the state of the previous run.

    `after` is the last released assessment. `passes` counts how often the release began at the first result. `failures`
    counts the failed probes since the last successful one.
    """

    provider: Provider
    organization_id: UUID
    after: UUID | None = None
    passes: int = 0
    failures: int = 0
    released: int = 0
    last_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The number of released results. A result that was released twice counts twice."""

    released: int


@workflow.defn(versioning_behavior=versioning("ProviderGateWorkflow"))
class ProviderGateWorkflow:
    """Probes one provider for one organization with growing pauses, and releases the waiting results when it answers.

    The results that wait are those in Postgres, so a lost gate loses none. They are released in batches, in the order
    of their ids, with a probe before each batch. If a probe fails, the release begins again at the first result.

    Id: `provider-gate-{provider}-{organization_id}`; reuse policy ALLOW_DUPLICATE, conflict policy USE_EXISTING.
    Signals: `probe_now` ends a pause.
    Queries, updates: none.
    End: when no result waits, or all of them were released. Runs that still need the provider start a gate again.
    """

    @workflow.init
    def __init__(self, gate: GateInput) -> None:
        self._gate = gate
        self._waiting = 0
        self._hurried = False

    @workflow.run
    async def run(self, gate: GateInput) -> GateResult:
        """Probe and release until no result waits. `__init__` has already read the argument `gate`."""
        del gate
        probes = 0
        while await self._advance():
            probes += 1
            if probes >= PROBES_PER_RUN or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._gate)
        workflow.set_current_details(f"**Done.** Released results: {self._gate.released}\n\nAction: none.")
        return GateResult(released=self._gate.released)

    @workflow.signal
    def probe_now(self) -> None:
        self._hurried = True

    async def _advance(self) -> bool:
        """Probe the provider, release a batch if it answers, and pause. Return False at the end of the gate."""
        probe = await self._probe()
        self._waiting = probe.waiting
        if not probe.waiting:
            return False
        pause_s = RELEASE_EVERY.total_seconds()
        if probe.failure:
            pause_s = self._failed(probe)
        elif await self._release():
            return False
        await self._pause(pause_s)
        return True

    async def _probe(self) -> Probe:
        self._show("Probing the provider")
        wanted = ProbeInput(organization_id=self._gate.organization_id, after=self._gate.after)
        try:
            if self._gate.provider is Provider.SEARCH:
                return await workflow.execute_activity_method(
                    ProbeSearch.probe_search,
                    wanted,
                    **activity_options("probe_search", "Search for one waiting result"),
                )
            return await workflow.execute_activity_method(
                ProbeModel.probe_model,
                wanted,
                **activity_options("probe_model", "Request one completion of a waiting result"),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return Probe(waiting=max(self._waiting, 1), failure=describe_failure(error))

    def _failed(self, probe: Probe) -> float:
        """Record a failed probe. Return the pause before the next one in seconds."""
        longest_s = GATE_LONGEST_PAUSE.total_seconds()
        pause_s = min(GATE_FIRST_PAUSE.total_seconds() * 2.0 ** min(self._gate.failures, 10), longest_s)
        self._gate = replace(
            self._gate,
            after=None,
            passes=self._gate.passes + (self._gate.after is not None),
            failures=self._gate.failures + 1,
            last_failure=probe.failure,
        )
        return max(pause_s, probe.retry_after_s)

    async def _release(self) -> bool:
        """Release the next batch. Return whether it was the last one."""
        gate = self._gate
        self._show("The provider answers. Releasing results")
        released: Released = await workflow.execute_activity_method(
            ReleaseResults.release_results,
            ReleaseInput(
                provider=gate.provider,
                organization_id=gate.organization_id,
                after=gate.after,
                limit=RELEASED_AT_ONCE,
                key=f"{workflow.info().first_execution_run_id}-{gate.passes}",
            ),
            **activity_options("release_results", f"Release at most {RELEASED_AT_ONCE} results"),
        )
        self._gate = replace(
            gate,
            after=released.last,
            failures=0,
            released=gate.released + released.number,
            last_failure=None,
        )
        return released.last is None

    async def _pause(self, pause_s: float) -> None:
        until = workflow.now() + timedelta(seconds=pause_s)
        self._show("Waiting for the provider" if self._gate.failures else "Releasing results", until)
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._hurried, timeout=timedelta(seconds=pause_s), timeout_summary="Next probe"
            )
        self._hurried = False

    def _show(self, state: str, next_probe: datetime | None = None) -> None:
        workflow.set_current_details(details(self._gate, state, self._waiting, next_probe))


def details(gate: GateInput, state: str, waiting: int, next_probe: datetime | None) -> str:
    """Render the state of a gate, who waits for it, and the operator's action."""
    more = "at least " if waiting >= MOST_COUNTED else ""
    lines = [f"**{state}**: {gate.provider.replace('_', ' ')}"]
    lines += [f"- Waiting results: {more}{waiting}"] if waiting else []
    lines += [f"- Released: {gate.released}"]
    lines += [f"- Failed probes in a row: {gate.failures}. Last failure: {gate.last_failure}"] if gate.failures else []
    lines += [f"- Next probe: {next_probe:{TIME}}"] if next_probe else []
    lines.append(
        "\nThe runs that wait: `WorkflowType = 'RevisionWorkflow' AND ExecutionStatus = 'Running' AND "
        f"OrganizationId = '{gate.organization_id}'`"
    )
    action = "fix the cause of the last failure, then send `probe_now`" if gate.failures else "none"
    lines.append(f"\nAction: {action}.")
    return "\n".join(lines)


def workflow_id(provider: Provider, organization_id: UUID) -> str:
    return f"provider-gate-{provider}-{organization_id}"
