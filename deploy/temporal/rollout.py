"""`python -m deploy.temporal.rollout BUILD`: gives a new build some of the work, then all of it, or none.

Its workers run already, beside those of the build that is current. Ramps step by step, watches each step, and takes the
ramp back at the first sign of trouble. Ends when the old build is drained and its workers may go. `--back` takes the
ramp back by hand; a build that was current before is made current again like a new one, with `--steps ""`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from deploy.temporal.command import CommandRefusedError, Json, ask, change, count, say
from workflows.policies import POLICIES, VERSIONING, Queue

DEPLOYMENT: Final = ("worker", "deployment")
POLL_S: Final = 1.0
RUN_BY: Final = {"WebhookDeliveryWorkflow": Queue.WEBHOOKS}
POLLED: Final = frozenset(
    {(policy.queue.value, "activity") for policy in POLICIES.values()}
    | {(RUN_BY.get(workflow, Queue.ASSESSMENTS).value, "workflow") for workflow in VERSIONING}
)
"""What every build must serve before it gets work: queues, and what of them."""

STUCK: Final = "ExecutionStatus = 'Running' AND TemporalReportedProblems IN ('category=WorkflowTaskFailed')"
"""Runs whose code raises what no workflow raises: a bug, or a change that needed `workflow.patched`."""


class TroubleError(Exception):
    """Why a step is not followed by the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One build of a deployment. Seconds: `watch_s` each step is watched, `patience_s` is waited for workers."""

    deployment: str
    build: str
    steps: tuple[float, ...] = (10.0, 50.0)
    watch_s: float = 300.0
    patience_s: float = 600.0

    def run(self) -> None:
        """Raises TroubleError when it was taken back, CommandRefusedError when the server refused a step."""
        before = current(self.deployment)
        say(f"Waiting until {self.build} polls every queue")
        wait_until(lambda: self._polled() >= POLLED, self.patience_s, f"{self.build} does not poll every queue")
        known = self._troubles()
        # Nobody else would take the rest while no build is current.
        for percentage in self.steps if before else ():
            say(f"{percentage:g} % to {self.build}")
            self._ramp("--percentage", f"{percentage:g}")
            self._watch(known, self.back)
        say(f"All to {self.build}")
        make_current(self.deployment, self.build)
        if before and before != self.build:
            self._watch(known, lambda: make_current(self.deployment, before))
            wait_until_drained(self.deployment, before)

    def back(self) -> None:
        """The ramp's runs go on with the current build at their next step; pinned ones stay."""
        self._ramp("--delete")
        pinned = count(f"ExecutionStatus = 'Running' AND {self._by_build}")
        say(f"{pinned} open run(s) last worked on {self.build}; its workers may go once it is drained")

    def _watch(self, known: Mapping[str, int], take_back: Callable[[], None]) -> None:
        """Takes the work back when there are more troubles than were known before."""
        until = time.monotonic() + self.watch_s
        while time.monotonic() < until:
            time.sleep(POLL_S)
            new = {what: runs - known[what] for what, runs in self._troubles().items() if runs > known[what]}
            if new:
                take_back()
                raise TroubleError(", ".join(f"{runs} run(s) {what}" for what, runs in new.items()))

    def _troubles(self) -> dict[str, int]:
        """How many runs are in each."""
        failed = f"ExecutionStatus = 'Failed' AND {self._by_build} AND WorkflowType != 'WebhookDeliveryWorkflow'"
        return {"stuck": count(STUCK), "failed": count(failed)}  # a dead letter is the partner's failure

    def _ramp(self, *how: str) -> None:
        change(*DEPLOYMENT, "set-ramping-version", *names(self.deployment, self.build), *how)

    def _polled(self) -> frozenset[tuple[str, str]]:
        try:
            queues = describe_version(self.deployment, self.build)["taskQueuesInfos"] or []
        except CommandRefusedError:  # no worker of it has ever polled
            return frozenset()
        return frozenset((queue["name"], queue["type"]) for queue in queues)

    @property
    def _by_build(self) -> str:
        """Runs that it worked on last, as a List Filter."""
        return f"TemporalWorkerDeploymentVersion = '{self.deployment}:{self.build}'"


def names(deployment: str, build: str) -> tuple[str, ...]:
    return ("--deployment-name", deployment, "--build-id", build)


def make_current(deployment: str, build: str) -> None:
    change(*DEPLOYMENT, "set-current-version", *names(deployment, build))


def current(deployment: str) -> str | None:
    """The build that has the work; none before the first rollout."""
    try:
        routing = ask(*DEPLOYMENT, "describe", "--name", deployment)["routingConfig"]
    except CommandRefusedError:  # no such deployment yet
        return None
    return str(routing["currentVersionBuildID"]) or None


def describe_version(deployment: str, build: str) -> Json:
    return ask(*DEPLOYMENT, "describe-version", *names(deployment, build))


def wait_until_drained(deployment: str, build: str) -> None:
    """Returns once no run needs the build, however long that takes."""
    say(f"Waiting until no run needs {build}")
    wait_until(lambda: describe_version(deployment, build)["drainageInfo"]["drainageStatus"] == "drained")
    say(f"{build} is drained: its workers may go")


def wait_until(holds: Callable[[], bool], patience_s: float = float("inf"), otherwise: str = "") -> None:
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            raise TroubleError(otherwise)
        time.sleep(POLL_S)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="the WORKER_BUILD_ID of its workers")
    parser.add_argument("--deployment", default="microcred", help="their WORKER_DEPLOYMENT_NAME (%(default)s)")
    parser.add_argument("--steps", default="10,50", help="percentages before everything (%(default)s)")
    parser.add_argument("--watch", type=float, default=300.0, help="seconds each step is watched (%(default)g)")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for its workers (%(default)g)")
    parser.add_argument("--back", action="store_true", help="take its ramp back")
    options = parser.parse_args()
    steps = tuple(float(step) for step in options.steps.split(",") if step)
    rollout = Rollout(
        deployment=options.deployment,
        build=options.build,
        steps=steps,
        watch_s=options.watch,
        patience_s=options.patience,
    )
    try:
        (rollout.back if options.back else rollout.run)()
    except (TroubleError, CommandRefusedError) as trouble:
        say(f"Not rolled out: {trouble}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
