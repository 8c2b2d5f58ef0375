"""Roll out a new build of the workers in steps: `python -m deploy.temporal.rollout BUILD`.

Start the new workers first and leave the current ones running. The script ramps up in steps, watches each step, and
rolls back at the first new problem. It ends when the old build is drained; then stop the old workers. `--back` removes
the ramp. To roll back to an earlier build, roll it out like a new one with `--steps ""`.
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
"""The queues, with the task types, that every build must poll before it gets work."""

STUCK: Final = "ExecutionStatus = 'Running' AND TemporalReportedProblems IN ('category=WorkflowTaskFailed')"
"""Runs whose workflow code fails: a bug, or a change without `workflow.patched`."""


class TroubleError(Exception):
    """A step failed. The message has the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The rollout of one build. Each step is watched for `watch_s`; workers may take `patience_s` to poll."""

    deployment: str
    build: str
    steps: tuple[float, ...] = (10.0, 50.0)
    watch_s: float = 300.0
    patience_s: float = 600.0

    def run(self) -> None:
        """Roll out. Raises TroubleError after a rollback, and CommandRefusedError if the server refused a step."""
        before = current(self.deployment)
        say(f"Waiting until {self.build} polls every queue")
        wait_until(lambda: self._polled() >= POLLED, self.patience_s, f"{self.build} does not poll every queue")
        known = self._troubles()
        # Without a current build no worker would get the remaining percentage.
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
        """Remove the ramp. Its runs continue with the current build at their next step; pinned runs stay."""
        self._ramp("--delete")
        pinned = count(f"ExecutionStatus = 'Running' AND {self._by_build}")
        say(f"{pinned} open run(s) last worked on {self.build}; stop its workers when it is drained")

    def _watch(self, known: Mapping[str, int], take_back: Callable[[], None]) -> None:
        """Call `take_back` and raise TroubleError if there are more problems than before the rollout."""
        until = time.monotonic() + self.watch_s
        while time.monotonic() < until:
            time.sleep(POLL_S)
            new = {what: runs - known[what] for what, runs in self._troubles().items() if runs > known[what]}
            if new:
                take_back()
                raise TroubleError(", ".join(f"{runs} run(s) {what}" for what, runs in new.items()))

    def _troubles(self) -> dict[str, int]:
        """Count the runs per kind of problem."""
        failed = f"ExecutionStatus = 'Failed' AND {self._by_build} AND WorkflowType != 'WebhookDeliveryWorkflow'"
        return {"stuck": count(STUCK), "failed": count(failed)}  # a dead letter is the partner's failure

    def _ramp(self, *how: str) -> None:
        change(*DEPLOYMENT, "set-ramping-version", *names(self.deployment, self.build), *how)

    def _polled(self) -> frozenset[tuple[str, str]]:
        try:
            queues = describe_version(self.deployment, self.build)["taskQueuesInfos"] or []
        except CommandRefusedError:  # no worker of the build has polled yet
            return frozenset()
        return frozenset((queue["name"], queue["type"]) for queue in queues)

    @property
    def _by_build(self) -> str:
        """A List Filter of the runs that the build worked on last."""
        return f"TemporalWorkerDeploymentVersion = '{self.deployment}:{self.build}'"


def names(deployment: str, build: str) -> tuple[str, ...]:
    return ("--deployment-name", deployment, "--build-id", build)


def make_current(deployment: str, build: str) -> None:
    change(*DEPLOYMENT, "set-current-version", *names(deployment, build))


def current(deployment: str) -> str | None:
    """Return the current build, or None before the first rollout."""
    try:
        routing = ask(*DEPLOYMENT, "describe", "--name", deployment)["routingConfig"]
    except CommandRefusedError:  # the deployment does not exist yet
        return None
    return str(routing["currentVersionBuildID"]) or None


def describe_version(deployment: str, build: str) -> Json:
    return ask(*DEPLOYMENT, "describe-version", *names(deployment, build))


def wait_until_drained(deployment: str, build: str) -> None:
    """Wait without a limit until no run needs the build."""
    say(f"Waiting until no run needs {build}")
    wait_until(lambda: describe_version(deployment, build)["drainageInfo"]["drainageStatus"] == "drained")
    say(f"{build} is drained: stop its workers")


def wait_until(holds: Callable[[], bool], patience_s: float = float("inf"), otherwise: str = "") -> None:
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            raise TroubleError(otherwise)
        time.sleep(POLL_S)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="the WORKER_BUILD_ID of the new workers")
    parser.add_argument(
        "--deployment", default="microcred", help="the WORKER_DEPLOYMENT_NAME of the workers (%(default)s)"
    )
    parser.add_argument("--steps", default="10,50", help="percentages before 100 (%(default)s)")
    parser.add_argument("--watch", type=float, default=300.0, help="seconds to watch each step (%(default)g)")
    parser.add_argument(
        "--patience", type=float, default=600.0, help="seconds to wait for the new workers (%(default)g)"
    )
    parser.add_argument("--back", action="store_true", help="remove the ramp")
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
