"""Migrations of a running service: writes do not wait for long."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from os import environ
from pathlib import Path

import psycopg
import pytest
from alembic import command

from persistence.migrate import MigrationStopped, alembic_config, upgrade
from persistence.migrations.locks import MigrationSettings
from tests.support.databases import Databases, settings_of

WAIT = "1s"
"""The longest time that a write may wait for a lock; the server refuses a longer wait."""

SEED = """
SET session_replication_role = replica;  -- the referenced roles and snapshots are not needed
INSERT INTO organizations (id, name) VALUES ('00000000-0000-4000-8000-000000000001', 'A college');
INSERT INTO users (id, organization_id, email, role)
SELECT id, id, 'student@example.org', 'student' FROM organizations;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, expires_at)
SELECT gen_random_uuid(), o.id, o.id, gen_random_uuid(), 'completed', 1, now()
FROM organizations AS o, generate_series(1, %(rows)s / 10);
INSERT INTO recommendations (id, assessment_id, revision, summary, status, generated_at, metrics, skills)
SELECT gen_random_uuid(), id, 1, '', 'ready', now(), '{}', '{}' FROM assessments;
INSERT INTO recommendation_feedback (id, recommendation_id, revision, submitted_by, submitted_by_role, relevance_score)
SELECT gen_random_uuid(), r.id, 1, o.id, 'student', 4
FROM recommendations AS r, organizations AS o, generate_series(1, 10);
INSERT INTO audit_logs (id, organization_id, actor_id, actor_role, action, resource_type, resource_id)
SELECT gen_random_uuid(), o.id, o.id, 'student', 'test.act', 'test', gen_random_uuid()
FROM organizations AS o, generate_series(1, %(rows)s);
SET session_replication_role = origin;
"""
FEEDBACK = """
INSERT INTO recommendation_feedback (id, recommendation_id, revision, submitted_by, submitted_by_role, relevance_score)
SELECT gen_random_uuid(), r.id, 1, u.id, 'student', 4 FROM (SELECT id FROM recommendations LIMIT 1) AS r, users AS u
"""
AUDIT = """
INSERT INTO audit_logs (
  id, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata)
SELECT gen_random_uuid(), id, id, 'student', 'test.act', 'test', gen_random_uuid(), NULL, '{}' FROM users
"""
LAST = """
SET session_replication_role = replica;
WITH o AS (
  INSERT INTO organizations (id, name) VALUES (gen_random_uuid(), 'The last') RETURNING id
), a AS (
  INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, expires_at)
  SELECT gen_random_uuid(), u.id, o.id, gen_random_uuid(), 'completed', 1, now() FROM o, users AS u RETURNING *
), r AS (
  INSERT INTO recommendations (id, assessment_id, revision, summary, status, generated_at, metrics, skills)
  SELECT gen_random_uuid(), id, 1, '', 'ready', now(), '{}', '{}' FROM a RETURNING id
)
INSERT INTO recommendation_feedback (id, recommendation_id, revision, submitted_by, submitted_by_role, relevance_score)
SELECT 'ffffffff-ffff-4fff-bfff-ffffffffffff', r.id, 1, u.id, 'student', 4 FROM r, users AS u
"""
"""A reaction of another organization, in the last batch of migration 0009."""
WITHOUT_ORGANIZATION = "SELECT count(*) FROM recommendation_feedback WHERE organization_id IS NULL"
SOON = MigrationSettings(lock_timeout_s=0.2, attempts=1)


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


@contextmanager
def at(databases: Databases, worker_name: str, revision: str, rows: int) -> Iterator[str]:
    """A database of an older release, with rows."""
    with databases.new(f"{worker_name}_older", template=None) as url:
        command.upgrade(alembic_config(settings_of(url)), revision)
        with connected(url) as connection:
            psycopg.ClientCursor(connection).execute(SEED, {"rows": rows})
            connection.execute("VACUUM ANALYZE")
        yield url


@pytest.fixture
def before_0009(databases: Databases, worker_name: str) -> Iterator[str]:
    with at(databases, worker_name, "0008", rows=5_000) as url:
        yield url


def scalar(url: str, query: str) -> object:
    with connected(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return row[0]


def write_until(done: Future[None], url: str) -> list[float]:
    """Write continuously as the previous release does; return the duration of each write."""
    took = list[float]()
    with connected(url) as connection:
        connection.execute(f"SET lock_timeout = '{WAIT}'".encode())
        while not done.done():
            for statement in (FEEDBACK, AUDIT):
                started = time.monotonic()
                connection.execute(statement.encode())
                took.append(time.monotonic() - started)
            time.sleep(0.002)
    return took


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=[pytest.mark.load, pytest.mark.timeout(1800)])])
def test_the_previous_release_keeps_writing_while_the_schema_is_upgraded(
    databases: Databases, worker_name: str, rows: int
) -> None:
    with at(databases, worker_name, "0004", rows) as url, ThreadPoolExecutor() as threads:
        started = time.monotonic()
        upgraded = threads.submit(upgrade, settings_of(url))

        took = write_until(upgraded, url)

        upgraded.result()
        print(f"{rows} rows: {time.monotonic() - started:.1f} s, {len(took)} writes, longest {max(took):.3f} s")  # noqa: T201  # the load test's figures
        assert scalar(url, WITHOUT_ORGANIZATION) == 0


def test_a_migration_that_waits_for_a_long_transaction_does_not_block_others(before_0009: str) -> None:
    with ThreadPoolExecutor() as threads, connected(before_0009) as long, connected(before_0009) as other:
        with long.transaction():
            long.execute(FEEDBACK.encode())
            upgraded = threads.submit(upgrade, settings_of(before_0009))
            other.execute(f"SET lock_timeout = '{WAIT}'".encode())
            for _ in range(20):
                other.execute(FEEDBACK.encode())
                time.sleep(0.1)
            assert not upgraded.done()

        upgraded.result()

    assert scalar(before_0009, WITHOUT_ORGANIZATION) == 0


def test_a_lock_that_is_never_free_ends_in_a_message_and_changes_nothing(before_0009: str) -> None:
    with connected(before_0009) as long, long.transaction():
        long.execute(FEEDBACK.encode())

        with pytest.raises(MigrationStopped, match=r"did not get its lock .* pg_stat_activity"):
            upgrade(settings_of(before_0009), SOON)

    assert scalar(before_0009, "SELECT version_num FROM alembic_version") == "0008"


def test_a_statement_that_takes_too_long_ends_in_a_message(before_0009: str) -> None:
    with pytest.raises(
        MigrationStopped, match=r"A statement of a migration exceeded its timeout .* MIGRATION_STATEMENT_TIMEOUT_S"
    ):
        upgrade(settings_of(before_0009), MigrationSettings(statement_timeout_s=0.001))


def test_a_migration_that_was_interrupted_between_batches_is_completed_by_the_next_run(before_0009: str) -> None:
    with connected(before_0009) as connection:
        connection.execute(LAST.encode())
    with connected(before_0009) as long, long.transaction():
        long.execute("SELECT FROM organizations WHERE name = 'The last' FOR UPDATE")
        with pytest.raises(MigrationStopped):
            upgrade(settings_of(before_0009), SOON)
    assert 0 < int(str(scalar(before_0009, WITHOUT_ORGANIZATION))) < 5_000

    upgrade(settings_of(before_0009))

    assert scalar(before_0009, WITHOUT_ORGANIZATION) == 0


def test_an_unfinished_index_is_rebuilt(before_0009: str) -> None:
    with connected(before_0009) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0007'")
        connection.execute("ALTER INDEX idx_audit_logs_resource RENAME TO idx_audit_logs_resource_new")
        connection.execute("CREATE INDEX idx_audit_logs_resource ON audit_logs (resource_type, resource_id)")
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_users_role'::regclass")

    upgrade(settings_of(before_0009))

    assert scalar(before_0009, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_users_role'::regclass") is True


def test_two_processes_may_migrate_concurrently(databases: Databases, worker_name: str) -> None:
    with databases.new(f"{worker_name}_twice", template=None) as url:
        runs = [
            subprocess.Popen(
                [sys.executable, "-m", "persistence.migrate"],
                env={**environ, "DATABASE_URL": url},
                cwd=Path(__file__).parents[2],
                stdout=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]

        assert [run.wait() for run in runs] == [0, 0]
