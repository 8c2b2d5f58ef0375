"""The embedded PostgreSQL recovers its data after every kind of kill."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from tests.support.processes import working_below

pytestmark = pytest.mark.faults


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres", free_port())
    with server:
        _run(server, "CREATE TABLE kept (id int)")
        _run(server, "INSERT INTO kept VALUES (1)")
        yield server


def _run(server: EmbeddedPostgres, statement: str) -> int:
    """Return how many rows the statement changed or found."""
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        return connection.execute(statement).rowcount


def _kill(server: EmbeddedPostgres) -> None:
    for process in working_below(server.data_dir):
        process.kill()
    server.stop()


def test_a_committed_row_survives_a_kill_of_every_process(server: EmbeddedPostgres) -> None:
    _kill(server)

    server.start()

    assert _run(server, "SELECT * FROM kept") == 1


def test_a_pid_file_with_another_processs_id_is_ignored(server: EmbeddedPostgres) -> None:
    pid_file = server.data_dir / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    _kill(server)
    with subprocess.Popen(["/bin/sleep", "600"]) as other:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")

        server.start()

        assert other.poll() is None
        other.kill()
    assert _run(server, "SELECT * FROM kept") == 1


def test_a_server_that_still_uses_the_data_is_stopped(server: EmbeddedPostgres) -> None:
    first = server.process
    assert first is not None

    with EmbeddedPostgres(server.data_dir, free_port()) as second:
        assert _run(second, "SELECT * FROM kept") == 1
        assert first.exit_code is not None


def test_an_initialization_that_was_killed_is_repeated(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "cluster.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(tmp_path / "postgres", free_port()) as server:
        assert _run(server, "SELECT 1") == 1


def test_stopping_with_open_sessions_is_orderly(server: EmbeddedPostgres) -> None:
    process = server.process
    assert process is not None
    with psycopg.connect(server.url.replace("+psycopg", "")):
        server.stop()

    assert process.exit_code == 0
    assert process.program.stop_signal is signal.SIGINT


def test_no_log_shows_the_row_that_broke_a_constraint(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", free_port()) as server:
        _run(server, "CREATE TABLE answers (text text UNIQUE CHECK (text <> 'my secret answer'))")
        with pytest.raises(psycopg.errors.CheckViolation):
            _run(server, "INSERT INTO answers VALUES ('my secret answer')")

    log = (tmp_path / "postgres" / "postgres.log").read_text()
    assert "violates check constraint" in log
    assert "my secret answer" not in log
