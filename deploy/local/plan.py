"""The parts of the stack in their starting order."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final, Protocol

from deploy.local.ports import HOST
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.private_files import stored_secrets
from deploy.local.process import Process, Program, never, run_to_end
from deploy.local.restarts import Restarts
from deploy.local.settings import CHECKOUT, StackSettings
from deploy.local.temporal import TemporalDevServer
from deploy.local.weaviate import WeaviateServer

STEP_TIMEOUT_S: Final = 300.0
SERVICE_TIMEOUT_S: Final = 120.0
SERVICE_GRACE_S: Final = 13.0
"""Slightly longer than `WORKER_GRACE_S` below, so that the whole stack stops within 20 s."""

ACCOUNTS: Final = {
    "STUDENT": "student@demo.example",
    "ADVISOR": "advisor@demo.example",
    "ADMIN": "admin@demo.example",
    "PLATFORM_ADMIN": "platform@demo.example",
}
LIMITS: Final = {
    "RATE_LIMIT_WRITES": "6000/minute",
    "RATE_LIMIT_READS": "60000/minute",
    "RATE_LIMIT_LOGIN": "600/minute",
}
"""Much higher than the defaults: all clients on one machine share an address, and scripts act for many users."""
PUBLISHED: Final = (
    "API_URL",
    "DATABASE_URL",
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_UI_URL",
    "WEAVIATE_URL",
    "WEAVIATE_GRPC_PORT",
    "WEAVIATE_API_KEY",
    *(f"{account}_{what}" for account in ACCOUNTS for what in ("EMAIL", "PASSWORD")),
)
"""The variables in `.local/stack.env`."""


class Part(Protocol):
    """A part of the stack. `process` is its process, or None if it has ended in order or was not started."""

    @property
    def name(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def process(self) -> Process | None: ...
    def start(self, stopping: Callable[[], bool] = never) -> None: ...
    def stop(self, hurry: Callable[[], bool] = never) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """A program that ends before the next part starts."""

    program: Program
    detail: str = ""

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def process(self) -> None:
        return None

    def start(self, stopping: Callable[[], bool] = never) -> None:
        run_to_end(self.program, timeout_s=STEP_TIMEOUT_S, stopping=stopping)

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        """Do nothing, because the program has ended."""


@dataclass(slots=True)
class Service:
    """A program that runs until the stack stops. The stack restarts it if its process ends earlier.

    Without `ready` the next part starts at once.
    """

    program: Program
    detail: str = ""
    ready: Callable[[], bool] = field(default=lambda: True)
    restarts: Restarts = field(default_factory=Restarts)
    process: Process | None = None

    @property
    def name(self) -> str:
        return self.program.name

    def start(self, stopping: Callable[[], bool] = never) -> None:
        self.process = Process(self.program)
        self.process.wait_until(self.ready, timeout_s=SERVICE_TIMEOUT_S, stopping=stopping)

    def restart(self) -> None:
        """Start a new process after the last one ended, and append to its log. Does not wait until it is ready."""
        if self.process is not None:
            self.process.stop(grace_s=0.0)  # ends remaining child processes of the last process
        self.process = Process(self.program, append_log=True)

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        if self.process is not None:
            self.process.stop(grace_s=SERVICE_GRACE_S, hurry=hurry)
            self.process = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts in starting order, and their common environment."""

    parts: tuple[Part, ...]
    environment: dict[str, str]

    @property
    def published(self) -> dict[str, str]:
        return {name: self.environment.get(name, "") for name in PUBLISHED}


def plan(settings: StackSettings, local: Path) -> Plan:
    """Return the stack with its data below `local`, without the servers that the settings replace."""
    names = ("POSTGRES_PASSWORD", "JWT_SECRET", "WEBHOOK_SECRET_KEYS", "WEAVIATE_API_KEY")
    kept = stored_secrets(local / "secrets.json", [*names, *(f"{account}_PASSWORD" for account in ACCOUNTS)])
    logs = local / "logs"
    postgres = EmbeddedPostgres(
        local / "postgres", settings.postgres_port, password=kept.pop("POSTGRES_PASSWORD"), log=logs / "postgres.log"
    )
    temporal = TemporalDevServer(
        local / "temporal" / "runs.db", settings.temporal_port, settings.temporal_ui_port, log=logs / "temporal.log"
    )
    weaviate = _weaviate(settings, local, kept.pop("WEAVIATE_API_KEY"))
    environment = {
        "MICROCRED_ENV": "development",
        "WORKER_RECONCILE_EVERY_S": "30",
        "WORKER_GRACE_S": "10",  # a running step must not delay the stop of the stack
        "WORKER_LLM_GRACE_S": "10",
        "ERASURE_LIST": str(local / "erasures"),
        **LIMITS,
        "WEBHOOK_ALLOW_LOOPBACK": "true",  # receivers on this machine, such as the demo's
        "HF_HUB_OFFLINE": "1",  # the model comes from a wheel, so no download is needed
        **{f"{account}_EMAIL": address for account, address in ACCOUNTS.items()},
        **kept,
        **{name: value for name, value in os.environ.items() if value},
        **(weaviate.client_environment if weaviate else {}),
        "API_PORT": str(settings.api_port),
        "API_URL": f"http://{HOST}:{settings.api_port}",
        "DATABASE_URL": settings.database_url.get_secret_value() if settings.database_url else postgres.url,
        "TEMPORAL_ADDRESS": settings.temporal_address or temporal.address,
        "TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "TEMPORAL_UI_URL": settings.temporal_ui_url if settings.temporal_address else temporal.ui_url,
    }
    servers: list[Part] = [*([] if settings.database_url else [postgres])]
    servers += [] if settings.temporal_address else [temporal]
    servers += [weaviate] if weaviate else []
    return Plan((*servers, *_programs(environment, logs)), environment)


def _weaviate(settings: StackSettings, local: Path, api_key: str) -> WeaviateServer | None:
    """Return None if the settings name another server, or if the program is not installed."""
    if settings.weaviate_url or settings.weaviate_program is None:
        return None
    return WeaviateServer(
        settings.weaviate_program,
        local / "weaviate",
        (settings.weaviate_port, settings.weaviate_grpc_port),
        log=local / "logs" / "weaviate.log",
        api_key=api_key,
    )


def _programs(environment: dict[str, str], logs: Path) -> tuple[Part, ...]:
    def program(name: str, *arguments: str) -> Program:
        command = (sys.executable, *arguments)
        return Program(name=name, command=command, log=logs / f"{name}.log", env=environment, cwd=CHECKOUT)

    port = int(environment["API_PORT"])
    return (
        Step(program("migrations", "-m", "persistence.migrate")),
        # starts before the content, because loading its model takes one core for ten seconds and needs no content
        Service(program("worker", "worker.py"), "loads the model in the background"),
        Step(program("content", "-m", "deploy.local.seed"), "roles, questions, credentials, demo accounts"),
        Service(
            program("api", "-m", "api"),
            f"{environment['API_URL']}/docs",
            ready=lambda: _is_ready(port),
        ),
    )


def _is_ready(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
