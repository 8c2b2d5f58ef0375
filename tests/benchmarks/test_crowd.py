"""The rows of the filler satisfy all foreign keys, which are not checked while they are inserted."""

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.benchmarks.crowd import add_crowd


@pytest.fixture
def crowded(clean_database: str) -> str:
    for _ in range(2):
        add_crowd(clean_database, opened=16, finished=1_000)
    return clean_database.replace("+psycopg", "")


def test_open_and_finished_assessments_are_added_each_time(crowded: str) -> None:
    with psycopg.connect(crowded) as connection:
        found = connection.execute("SELECT status, count(*) FROM assessments GROUP BY status").fetchall()
        marked = connection.execute(
            "SELECT count(*) FILTER (WHERE degraded), count(*) FILTER (WHERE needs_review) FROM assessments"
        ).fetchall()

    assert dict(found) == {"in_progress": 32, "failed": 22, "completed": 1_978}
    assert marked == [(24, 24)]


def test_every_row_satisfies_its_foreign_keys(crowded: str) -> None:
    with psycopg.connect(crowded, autocommit=True) as connection:
        keys = connection.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
        ).fetchall()
        for table, name, definition in keys:
            statement = SQL("ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} ").format(
                table=Identifier(table), name=Identifier(name)
            )
            connection.execute(statement + SQL(definition))

    assert len(keys) > 20
