"""Servers for benchmarks, and the CPU time, memory and SQL statements of their processes."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Process, Program, run_to_end
from deploy.local.temporal import TemporalDevServer
from tests.benchmarks import workload
from tests.support.markers import TABLES

SECRET = "a-secret-of-the-benchmark-which-guards-nothing"
READY_WITHIN_S = 600

MODELLESS = ("-m", "tests.benchmarks.modelless_worker")


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows and bytes of the product's database, and the bytes of WAL that its server has written so far."""

    rows: int
    database_bytes: int
    wal_bytes: int


@dataclass
class Servers:
    """The servers of all lanes, and the processes whose CPU time is measured."""

    postgres: EmbeddedPostgres
    temporal: TemporalDevServer
    directory: Path
    environment: dict[str, str]
    processes: dict[str, Process]

    def program(self, name: str, *arguments: str, **more: str) -> Program:
        return Program(
            name=name,
            command=(sys.executable, *arguments),
            log=self.directory / f"{name}.log",
            env=self.environment | more,
            cwd=Path.cwd(),
        )

    @contextmanager
    def running(self, name: str, *arguments: str, ready: str | None = None, **more: str) -> Iterator[None]:
        """Run a measured process. `ready` is a log line to wait for, `more` are environment variables."""
        program = self.program(name, *arguments, **more)
        process = self.processes[name] = Process(program)
        try:
            process.wait_until(lambda: ready is None or ready in program.log.read_text(), timeout_s=READY_WITHIN_S)
            yield
        finally:
            self.processes.pop(name).stop(grace_s=30)

    def kill_and_start(self, name: str) -> None:
        """Kill a running process with SIGKILL, and start its program again."""
        process = self.processes[name]
        os.kill(process.pid, signal.SIGKILL)
        process.stop(grace_s=0)
        self.processes[name] = Process(process.program, append_log=True)

    def cpu_s(self) -> dict[str, float]:
        return {name: sum(_cpu_s(each) for each in family(process)) for name, process in self.processes.items()}

    def peak_mb(self) -> dict[str, float]:
        return {name: sum(_peak_mb(each) for each in family(process)) for name, process in self.processes.items()}

    def statements(self) -> int:
        with psycopg.connect(self.postgres.url.replace("+psycopg", "")) as connection:
            row = connection.execute(
                "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
                " WHERE query !~* '^(begin|commit|rollback|set|show|select pg_catalog)'"
            ).fetchone()
        return int(row[0]) if row else 0

    def stored(self) -> Stored:
        with psycopg.connect(self.postgres.url.replace("+psycopg", "")) as connection:
            tables = [SQL("SELECT count(*) FROM {}").format(Identifier(name)) for (name,) in connection.execute(TABLES)]
            rows = sum(count for (count,) in connection.execute(SQL(" UNION ALL ").join(tables)))
            sizes = connection.execute(
                "SELECT pg_database_size(current_database()), pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
            ).fetchone()
        assert sizes
        return Stored(rows, int(sizes[0]), int(sizes[1]))


def family(process: Process) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def _cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds of a process, or 0 for a helper process that has just ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _peak_mb(process: psutil.Process) -> float:
    """Return peak memory if the kernel reports it, else resident memory. Shared pages count in each process."""
    status = Path(f"/proc/{process.pid}/status")
    if not process.is_running():
        return 0.0
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(process.memory_info().rss) / 2**20


@contextmanager
def servers(directory: Path) -> Iterator[Servers]:
    temporal = TemporalDevServer(directory / "runs.db", free_port(), None, log=directory / "temporal.log")
    postgres = EmbeddedPostgres(directory / "postgres", free_port())
    with postgres:
        _count_statements(postgres.url.replace("+psycopg", ""))
    with postgres, temporal:
        port = free_port()
        environment = dict(os.environ) | {
            "MICROCRED_ENV": "development",
            "HF_HUB_OFFLINE": "1",
            "JWT_SECRET": SECRET,
            "TOKEN_MINUTES": "60",
            "DATABASE_URL": postgres.url,
            "TEMPORAL_ADDRESS": temporal.address,
            "API_PORT": str(port),
            "API_URL": f"http://127.0.0.1:{port}",
            **{f"RATE_LIMIT_{what}": "1000000/minute" for what in ("WRITES", "READS", "LOGIN")},
        }
        os.environ.update(environment)
        shared = Servers(postgres, temporal, directory, environment, {})
        if postgres.process and temporal.process:
            shared.processes |= {"postgres": postgres.process, "temporal": temporal.process}
        workload.write_content(directory / "content")
        for name, *arguments in (
            ("migrations", "-m", "persistence.migrate"),
            ("content", "-m", "persistence.load_content", str(directory / "content")),
            ("embed", "-m", "deploy.local.embed"),
        ):
            run_to_end(shared.program(name, *arguments), timeout_s=READY_WITHIN_S)
        yield shared


def _count_statements(url: str) -> None:
    """Count SQL statements from the server's next start on."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


async def until_ready(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(READY_WITHIN_S):
        while True:
            try:
                if (await http.get(f"{url}/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
