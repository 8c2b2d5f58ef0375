"""Temporal from wheels: the dev server with its Web UI, and the time-skipping server for tests."""

import os
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deploy.local.ports import HOST
from deploy.local.process import Process, Program, Startable, never

NAMESPACE: Final = "default"
"""The namespace that the dev server creates."""

RETENTION: Final = "720h"
"""How long closed runs stay visible: 30 days. The dev server's default is one day."""

START_TIMEOUT_S: Final = 60.0
STOP_GRACE_S: Final = 10.0

DYNAMIC_CONFIG: Final[Mapping[str, str]] = {
    # with the default of 20 polls per second, each step waits up to 50 ms
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    # how late a timer may fire; the default of 1 s, for clocks of several hosts, adds a second to each retry
    "history.timerProcessorMaxTimeShift": '"10ms"',
    # without these two the server ignores fairness keys
    "matching.useNewMatcher": "true",
    "matching.enableFairness": "true",
    # a run reports TemporalReportedProblems after two failed workflow tasks in a row (default: five)
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2",
    # the deletion of a run waits until these queues have stored their progress, by default every 30 s, which suits the
    # hundreds of shards of a cluster
    "history.transferProcessorUpdateAckInterval": '"1s"',
    "history.timerProcessorUpdateAckInterval": '"1s"',
    "history.visibilityProcessorUpdateAckInterval": '"1s"',
    # on one host a build counts as drained seconds after its last run; the default of minutes is for several hosts
    "matching.wv.VersionDrainageStatusRefreshInterval": '"2s"',
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod": '"2s"',
    # fairness and the rate limit of a queue work within a partition: with the usual four, a queue gets a quarter of its
    # limit, because all tasks are in one of them
    "matching.numTaskqueueWritePartitions": "1",
    "matching.numTaskqueueReadPartitions": "1",
}
SQLITE_PRAGMAS: Final = ("journal_mode=wal", "synchronous=normal")
"""Runs survive a restart at no measurable cost. With SQLite's defaults the throughput is half."""


class TemporalDevServer(Startable):
    """A Temporal dev server on 127.0.0.1. Without `db_file` data is in memory, without `ui_port` there is no Web UI."""

    name: Final = "temporal"

    def __init__(
        self,
        db_file: Path | None,
        port: int,
        ui_port: int | None,
        *,
        log: Path,
        dynamic_config: Mapping[str, str] = DYNAMIC_CONFIG,
    ) -> None:
        self._db_file = db_file.resolve() if db_file else None
        self._port = port
        self._ui_port = ui_port
        self._log = log
        self._dynamic_config = dynamic_config
        self.process: Process | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self._port}"

    @property
    def ui_url(self) -> str:
        """The Web UI's address. Raises ValueError without a Web UI."""
        if self._ui_port is None:
            raise ValueError("this Temporal server was started without its Web UI")
        return f"http://{HOST}:{self._ui_port}"

    @property
    def detail(self) -> str:
        return self.address if self._ui_port is None else f"{self.address}, Web UI {self.ui_url}"

    def start(self, stopping: Callable[[], bool] = never) -> None:
        """Start the server and wait until the namespace is usable.

        Raises:
            ProgramFailedError: the server did not start. Its log has the reason.
            StopRequestedError: `stopping()` was true before the start was complete.
        """
        if self._db_file:
            self._db_file.parent.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        process = self.process = Process(
            Program(
                name=self.name,
                command=(str(_script("temporal")), "server", "start-dev", *self._options()),
                log=self._log,
                env=_environment(),
                cwd=self._log.resolve().parent,
            )
        )
        process.wait_until(self._retention_is_set, timeout_s=START_TIMEOUT_S, stopping=stopping)

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        if self.process is not None:
            self.process.stop(grace_s=STOP_GRACE_S, hurry=hurry)
            self.process = None

    def _options(self) -> list[str]:
        options = ["--ip", HOST, "--port", str(self._port), "--log-level", "warn"]
        options += ["--headless"] if self._ui_port is None else ["--ui-port", str(self._ui_port)]
        options += [
            word for item in self._dynamic_config.items() for word in ("--dynamic-config-value", "=".join(item))
        ]
        if self._db_file:
            options += ["--db-filename", str(self._db_file)]
            options += [word for pragma in SQLITE_PRAGMAS for word in ("--sqlite-pragma", pragma)]
        return options

    def _retention_is_set(self) -> bool:
        """Set the retention, which succeeds only when the server is ready."""
        command = [str(_script("temporal")), "operator", "namespace", "update", "--namespace", NAMESPACE]
        command += [
            "--retention",
            RETENTION,
            "--address",
            self.address,
            "--command-timeout",
            "5s",
            "--disable-config-file",
        ]
        return subprocess.run(command, capture_output=True, check=False, env=_environment()).returncode == 0  # noqa: S603


def time_skipping_server() -> Path:
    """Return the program of the time-skipping server, for `WorkflowEnvironment.start_time_skipping`."""
    return _script("temporal-test-server")


def _script(name: str) -> Path:
    return Path(sysconfig.get_path("scripts")) / name


def _environment() -> dict[str, str]:
    """Return the environment without TEMPORAL_ADDRESS, TEMPORAL_TLS and the like, which the program would read."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
