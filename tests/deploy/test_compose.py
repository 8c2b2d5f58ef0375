"""docker-compose.yml without containers: its scripts, commands and environments as plain processes on real servers.

The processes run in a folder with the files of the image and no other file of the checkout. The test does not cover the
images, the networks between containers, and Temporal on PostgreSQL, which its dev server replaces.
"""

import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from deploy.local.ports import HOST, free_port
from deploy.local.postgres import TEST_PASSWORD, EmbeddedPostgres, binaries
from deploy.local.process import Process, Program, run_to_end
from deploy.local.settings import CHECKOUT
from deploy.local.temporal import TemporalDevServer
from tests.support import compose
from tests.support.deployment import eventually, libpq

pytestmark = [pytest.mark.load, pytest.mark.timeout(900)]

STEP_TIMEOUT_S = 300.0
GRACE_S = 30.0
ACCOUNT = {"SMOKE_EMAIL": "smoke@demo.example", "SMOKE_PASSWORD": "a-password-of-the-pipeline"}
PATH = os.pathsep.join([str(Path(sys.executable).parent), str(binaries()), os.environ["PATH"]])


class Machine:
    """The servers of the compose file at this machine's addresses, and the processes of the project's image."""

    def __init__(self, directory: Path, weaviate: Mapping[str, str]) -> None:
        self.postgres = EmbeddedPostgres(directory / "postgres", free_port(), durable=False)
        self.temporal = TemporalDevServer(None, free_port(), None, log=directory / "temporal.log")
        self.api_url = f"http://{HOST}:{free_port()}"
        self._weaviate = weaviate
        compose.copy_image(directory / "app")
        self._directory = directory
        self._variables = {name: secrets.token_urlsafe(32) for name in compose.required()} | {
            "MICROCRED_ENV": "staging",
            "POSTGRES_PASSWORD": TEST_PASSWORD,
            "WEAVIATE_API_KEY": weaviate["WEAVIATE_API_KEY"],
            "WEBHOOK_OWN_HOSTS": "api.example.org",
        }
        self.services = compose.services(self._variables)
        self.running: dict[str, Process] = {}

    def environment(self, service: str) -> dict[str, str]:
        """Return the container's environment with this machine's addresses and folders."""
        there = {
            "@postgres:5432/": f"@{self.postgres.detail}/",
            "temporal:7233": self.temporal.address,
            "http://weaviate:8080": self._weaviate["WEAVIATE_URL"],
            "/var/lib/microcred": str(self._directory),
        }
        given: dict[str, str] = compose.image_environment() | self.services[service]["environment"]
        for name, address in there.items():
            given = {key: value.replace(name, address) for key, value in given.items()}
        port = self.api_url.rpartition(":")[2]
        more = {"API_HOST": HOST, "API_PORT": port, "WEAVIATE_GRPC_PORT": self._weaviate["WEAVIATE_GRPC_PORT"]}
        more |= {"WORKER_METRICS_ADDRESS": f"{HOST}:{free_port()}"}  # the workers share this machine
        return given | more | {"PATH": PATH, "HOME": str(self._directory)}

    def program(self, service: str, *command: str, **more: str) -> Program:
        program, *arguments = command or self.services[service]["command"]
        return Program(
            name=service,
            command=(shutil.which(program, path=PATH) or program, *arguments),
            log=self._directory / f"{service}-{len(command)}.log",
            env=self.environment(service) | more,
            cwd=self._directory / "app",
        )

    def start(self, service: str) -> None:
        self.running[service] = Process(self.program(service))

    def log(self, service: str) -> str:
        return self.running[service].program.log.read_text(encoding="utf-8")

    def script(self, service: str, name: str, **more: str) -> None:
        """Run a mounted script of the service with sh."""
        path = "/usr/bin:/bin:" + os.pathsep.join([PATH, sysconfig.get_path("scripts")])
        given = self.services[service]["environment"] | {"PATH": path, "HOME": str(self._directory)} | more
        command = ["/bin/sh", str(CHECKOUT / "deploy" / "temporal" / name)]
        ran = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory, weaviate_environment: dict[str, str]) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("compose"), weaviate_environment)
    with ExitStack() as parts:
        parts.enter_context(machine.postgres)
        parts.enter_context(machine.temporal)
        yield machine
        for process in machine.running.values():
            process.stop(grace_s=0)


def test_the_services_of_the_compose_file_take_a_student_from_start_to_feedback(machine: Machine) -> None:
    host, _, port = machine.postgres.detail.partition(":")
    machine.script("postgres", "databases.sh", PGHOST=host, PGPORT=port, PGPASSWORD=TEST_PASSWORD)
    for _ in range(2):
        machine.script("temporal-namespace", "namespace.sh", TEMPORAL_ADDRESS=machine.temporal.address)
    for step in ("migrate", "seed"):
        run_to_end(machine.program(step), timeout_s=STEP_TIMEOUT_S)
    workers = [name for name in machine.services if name.startswith("worker-")]

    for service in ("api", *workers):
        machine.start(service)
    eventually(lambda: all("worker_ready" in machine.log(worker) for worker in workers), STEP_TIMEOUT_S)
    run_to_end(machine.program("api", "python", "-m", "deploy.smoke_account", **ACCOUNT), timeout_s=STEP_TIMEOUT_S)
    smoke = machine.program("api", "python", "-m", "deploy.smoke", **ACCOUNT, API_URL=machine.api_url)
    run_to_end(smoke, timeout_s=STEP_TIMEOUT_S)

    assert smoke.log.read_text(encoding="utf-8").endswith("feedback: accepted\n")
    assert databases(machine) >= {"microcred", "temporal", "temporal_visibility"}
    assert logged_in(machine) == {"microcred_app"}
    for process in machine.running.values():
        process.stop(grace_s=GRACE_S)
    assert {name: process.exit_code for name, process in machine.running.items()} == dict.fromkeys(("api", *workers), 0)


def databases(machine: Machine) -> set[str]:
    with psycopg.connect(libpq(machine.postgres.url)) as owner:
        return {name for (name,) in owner.execute("SELECT datname FROM pg_database").fetchall()}


def logged_in(machine: Machine) -> set[str]:
    """Return the database users of the API and the workers."""
    query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'microcred%'"
    with psycopg.connect(libpq(machine.postgres.url)) as owner:
        return {name for (name,) in owner.execute(query).fetchall()}
