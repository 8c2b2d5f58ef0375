"""Run the product as processes (Temporal, `python worker.py`, `python -m api`) on a database and call it over HTTP."""

import asyncio
import json
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import httpx
import psycopg

from api.security.passwords import hash_password
from deploy.local.plan import ACCOUNTS
from deploy.local.ports import HOST, free_port
from deploy.local.process import Process, Program, Startable, run_to_end
from deploy.local.seed import ROLES
from deploy.local.settings import CHECKOUT
from deploy.local.temporal import NAMESPACE, TemporalDevServer
from persistence.database import create_engine
from persistence.repositories.accounts import NewAccount, ensure_accounts
from tests.support.databases import Databases, settings_of

Json = dict[str, Any]
Found = TypeVar("Found")

STUDENT, ADVISOR, ADMIN = ACCOUNTS["STUDENT"], ACCOUNTS["ADVISOR"], ACCOUNTS["ADMIN"]
CLASSMATES = tuple(f"student{number}@demo.example" for number in range(2, 5))
STRANGER, STRANGERS_ADVISOR = "student@elsewhere.example", "advisor@elsewhere.example"
"""Users of another organization."""
PASSWORD = "a-password-that-no-log-may-show"

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For calls in a loop. By default each call first loads all certificates of authorities: 35 ms of CPU time."""

START_TIMEOUT_S = 300.0
GRACE_S = 30.0
PATIENCE_S = 150.0
"""The longest wait. A killed worker's activity times out after 60 s, and the machine may be busy."""


def eventually(look: Callable[[], Found], within_s: float = PATIENCE_S) -> Found:
    """Call `look` until it returns a true value, and return that value."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {within_s:.0f} s")
        time.sleep(0.02)
    return found


def kill(process: Process | None) -> None:
    """Kill a process with SIGKILL, in any state."""
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.stop(grace_s=0)


@contextmanager
def frozen(process: Process | None) -> Iterator[None]:
    """Stop a process with SIGSTOP inside the block, as on a stalled machine. The block may kill it."""
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if process.exit_code is None:
            os.kill(process.pid, signal.SIGCONT)


class Server:
    """A program of the product that can be started again. Every start writes its own log."""

    def __init__(self, name: str, command: tuple[str, ...], environment: dict[str, str], logs: Path) -> None:
        self._name = name
        self._command = (sys.executable, *command)
        self._environment = environment
        self._logs = logs
        self._starts = 0
        self.process: Process | None = None

    @property
    def log(self) -> Path:
        return self._logs / f"{self._name}-{self._starts}.log"

    def launch(self) -> Process:
        self._starts += 1
        program = Program(name=self._name, command=self._command, log=self.log, env=self._environment, cwd=CHECKOUT)
        self.process = Process(program)
        return self.process

    def stop(self) -> int | None:
        """Stop the process with SIGTERM. Return its exit code, or None if it was not running."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.stop(grace_s=GRACE_S)
        return process.exit_code

    def kill(self) -> None:
        kill(self.process)
        self.process = None


class Deployment(Startable):
    """One process of each kind. A test that kills one also restarts it. `more` adds variables to all environments."""

    def __init__(self, directory: Path, database_url: str, more: Mapping[str, str] | None = None) -> None:
        self.logs = directory / "logs"
        self.temporal_file = directory / "temporal" / "runs.db"
        self.temporal = TemporalDevServer(self.temporal_file, free_port(), None, log=self.logs / "temporal.log")
        port = free_port()
        self.environment = stack_environment(database_url) | {
            "API_PORT": str(port),
            "API_URL": f"http://{HOST}:{port}",
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_UI_URL": f"http://{HOST}:1",
            "WORKER_RECONCILE_EVERY_S": "4",
            "ERASURE_LIST": str(directory / "erasures"),
            **(more or {}),
        }
        self.worker = Server("worker", ("worker.py",), self.environment, self.logs)
        self.api = Server("api", ("-m", "api"), self.environment, self.logs)
        self._people: list[httpx.Client] = []

    @property
    def api_url(self) -> str:
        return self.environment["API_URL"]

    def start(self) -> None:
        self.temporal.start()
        self.api.launch()
        self.start_worker()
        self._wait_for_api()

    def stop(self) -> None:
        for person in self._people:
            person.close()
        for server in (self.api, self.worker, self.temporal):
            server.stop()

    def start_api(self) -> None:
        self.api.launch()
        self._wait_for_api()

    def start_worker(self) -> None:
        process, log = self.worker.launch(), self.worker.log
        process.wait_until(lambda: "worker_ready" in log.read_text(), timeout_s=START_TIMEOUT_S)

    def readiness(self) -> Json:
        """Return the body of /readyz, or nothing if the API is unreachable."""
        try:
            body: Json = httpx.get(f"{self.api_url}/readyz", timeout=10, trust_env=False, verify=NO_TLS).json()
        except httpx.TransportError:
            return {}
        return body

    def log_in(self, email: str = STUDENT) -> httpx.Client:
        """Return an HTTP client that is logged in as the account."""
        http = httpx.Client(base_url=f"{self.api_url}/api/v1", timeout=60, trust_env=False)
        self._people.append(http)
        token = http.post("/auth/token", data={"username": email, "password": PASSWORD}).raise_for_status().json()
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        return http

    def rows(self, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """Return rows straight from the database."""
        with psycopg.connect(libpq(self.environment["DATABASE_URL"]), autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()

    def status(self, assessment_id: str) -> str:
        return str(self.rows("SELECT status FROM assessments WHERE id = %s", assessment_id)[0][0])

    def run_status(self, assessment_id: str) -> str:
        """Return the status of the latest run in Temporal, for example WORKFLOW_EXECUTION_STATUS_RUNNING."""
        described = self.temporal_command("workflow", "describe", "--workflow-id", f"assessment-{assessment_id}")
        return str(described["workflowExecutionInfo"]["status"])

    def temporal_command(self, *arguments: str) -> Json:
        """Run Temporal's command line and return its output, or {} if it prints nothing.

        A client in this process could crash the process at exit.

        Raises:
            subprocess.CalledProcessError: the command failed. The error's note says why.
        """
        command = [str(Path(sysconfig.get_path("scripts")) / "temporal"), *arguments]
        command += ["--address", self.temporal.address, "--disable-config-file", "--output", "json"]
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr)
            raise
        answer: Json = json.loads(done.stdout or "{}")
        return answer

    def _wait_for_api(self) -> None:
        assert self.api.process is not None
        self.api.process.wait_until(lambda: bool(self.readiness()), timeout_s=START_TIMEOUT_S)


class DeploymentWithoutWorker(Deployment):
    """Temporal and the API: assessments are stored and submitted, but not graded."""

    def start(self) -> None:
        self.temporal.start()
        self.start_api()


def stack_environment(database_url: str) -> dict[str, str]:
    """Return the environment of every process. Nothing from the test run's own environment leaks in."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    accounts = {f"{name}_EMAIL": email for name, email in ACCOUNTS.items()}
    passwords = {f"{name}_PASSWORD": PASSWORD for name in ACCOUNTS}
    return {
        **kept,
        **accounts,
        **passwords,
        "MICROCRED_ENV": "development",
        "JWT_SECRET": "a-secret-for-tests-of-32-bytes-or-more",
        "TOKEN_MINUTES": "60",  # one login serves a whole test module
        "WEBHOOK_ALLOW_LOOPBACK": "true",
        **{f"RATE_LIMIT_{what}": "1000000/minute" for what in ("WRITES", "READS", "LOGIN")},
        "DATABASE_URL": database_url,
        "HF_HUB_OFFLINE": "1",
    }


@contextmanager
def seeded_database(databases: Databases, prefix: str, logs: Path) -> Iterator[str]:
    """Create a database in the state that `make up` creates, with additional users."""
    with databases.new(prefix) as url:
        seed = Program(
            name="seed",
            command=(sys.executable, "-m", "deploy.local.seed"),
            log=logs / "seed.log",
            env=stack_environment(url),
            cwd=CHECKOUT,
        )
        run_to_end(seed, timeout_s=START_TIMEOUT_S)
        asyncio.run(_add_people(url))
        yield url


@contextmanager
def database_with_accounts(databases: Databases, prefix: str) -> Iterator[str]:
    """Create a database with the content and the users of `seeded_database`, but without embedding the catalogue."""
    with databases.new(prefix) as url:
        asyncio.run(_add_people(url))
        yield url


async def _add_people(url: str) -> None:
    password = hash_password(PASSWORD)

    def account(email: str, role: str = "student", *, platform: bool = False) -> NewAccount:
        return NewAccount(email=email, password_hash=password, role=role, platform=platform)

    demo = [account(ACCOUNTS[name], role, platform=name == "PLATFORM_ADMIN") for name, role in ROLES.items()]
    engine = create_engine(settings_of(url))
    await ensure_accounts(engine, "demo", "Demo organization", demo + [account(email) for email in CLASSMATES])
    strangers = [account(STRANGER), account(STRANGERS_ADVISOR, "advisor")]
    await ensure_accounts(engine, "elsewhere", "Another organization", strangers)
    await engine.dispose()


def stored(file: Path) -> bytes:
    """Return all bytes of Temporal's database: histories, inputs, failures, memos and search attributes."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]  # noqa: S608
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)


def libpq(url: str) -> str:
    """Return the URL in the form that psycopg accepts."""
    return url.replace("+psycopg", "")
