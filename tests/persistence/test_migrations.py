"""Migrations create exactly the schema of the row classes, and can be reverted."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from persistence.migrate import alembic_config, upgrade
from tests.support.databases import Databases, settings_of

TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"

A_REACTION = """
WITH o AS (
  INSERT INTO organizations (id, name) VALUES (gen_random_uuid(), 'Somewhere') RETURNING *
), a AS (
  INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, expires_at)
  SELECT gen_random_uuid(), gen_random_uuid(), id, gen_random_uuid(), 'completed', 1, now() FROM o RETURNING *
), r AS (
  INSERT INTO recommendations (id, assessment_id, revision, summary, status, generated_at, metrics, skills)
  SELECT gen_random_uuid(), id, 1, '', 'ready', now(), '{}', '{}' FROM a RETURNING *
)
INSERT INTO recommendation_feedback (id, recommendation_id, revision, submitted_by, submitted_by_role, relevance_score)
SELECT gen_random_uuid(), r.id, 1, a.user_id, 'student', 4 FROM a, r
"""

A_REVIEW = """
SET session_replication_role = replica;  -- no trigger fills the review, as before migration 0028
WITH o AS (
  INSERT INTO organizations (id, name) VALUES (gen_random_uuid(), 'Somewhere') RETURNING *
), a AS (
  INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, expires_at)
  SELECT gen_random_uuid(), gen_random_uuid(), id, gen_random_uuid(), 'completed', 1, now() FROM o RETURNING *
), s AS (
  INSERT INTO assessment_question_snapshots (
    id, assessment_id, question_id, position, prompt, rubric, question_type, kind, answer_format, weight, version)
  SELECT gen_random_uuid(), id, gen_random_uuid(), 1, 'Why?', '{}', 'essay', 'text', '{}', 1, 'asked' FROM a RETURNING *
)
INSERT INTO essay_reviews (id, assessment_id, question_snapshot_id, reviewer_id, levels)
SELECT gen_random_uuid(), assessment_id, id, gen_random_uuid(), '{}' FROM s;
SET session_replication_role = origin;
"""
RESCORED = "UPDATE assessment_question_snapshots SET scored_version = 'current'"

FORGED = """
INSERT INTO audit_logs (id, action, resource_type, hash, position) VALUES (gen_random_uuid(), 'x', 'x', 'x', 0)
"""


@pytest.fixture
def empty_database(databases: Databases, worker_name: str) -> Iterator[str]:
    with databases.new(f"{worker_name}_empty", template=None) as url:
        yield url


@pytest.fixture
def config(empty_database: str) -> Config:
    return alembic_config(settings_of(empty_database))


def tables(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(TABLES).fetchone()
    assert row
    return int(row[0])


def test_rows_and_migrations_agree(config: Config) -> None:
    command.upgrade(config, "head")

    command.check(config)


def test_going_down_leaves_only_alembics_own_table_and_going_up_again_works(
    config: Config, empty_database: str
) -> None:
    command.upgrade(config, "head")
    there = tables(empty_database)

    command.downgrade(config, "base")
    assert tables(empty_database) == 1

    command.upgrade(config, "head")
    assert tables(empty_database) == there


def test_migration_0009_fills_the_organization_of_existing_reactions(config: Config, empty_database: str) -> None:
    command.upgrade(config, "0008")
    with psycopg.connect(empty_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # the referenced user and role do not exist
        connection.execute(A_REACTION)
        command.upgrade(config, "head")
        found = connection.execute(
            "SELECT f.organization_id = a.organization_id FROM recommendation_feedback AS f, assessments AS a"
        ).fetchall()

    assert found == [(True,)]


def test_a_rescore_between_the_triggers_and_the_batches_of_migration_0028_hides_no_review(
    config: Config, empty_database: str
) -> None:
    command.upgrade(config, "0028")
    with psycopg.connect(empty_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(A_REVIEW)
        connection.execute(RESCORED)
        connection.execute("UPDATE alembic_version SET version_num = '0025'")
        command.upgrade(config, "0028")
        found = connection.execute(
            "SELECT r.organization_id = a.organization_id, r.version FROM essay_reviews AS r, assessments AS a"
        ).fetchall()

    assert found == [(True, "current")]


def test_migrating_twice_changes_nothing(empty_database: str) -> None:
    upgrade(settings_of(empty_database))
    there = tables(empty_database)

    upgrade(settings_of(empty_database))

    assert tables(empty_database) == there


def test_forged_audit_rows_do_not_stop_migration_0010(config: Config, empty_database: str) -> None:
    command.upgrade(config, "0009")
    with psycopg.connect(empty_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(FORGED)
        command.upgrade(config, "head")

        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("ALTER TABLE audit_logs DISABLE TRIGGER USER; " + FORGED)
