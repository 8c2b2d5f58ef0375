"""The migrations make what the row classes say, and take it away again."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from persistence.migrate import alembic_config, upgrade
from tests.databases import Databases, settings_of

TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"


@pytest.fixture
def empty_database(databases: Databases, worker: str) -> Iterator[str]:
    with databases.new(f"{worker}_empty", template=None) as url:
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


def test_migrating_twice_changes_nothing(empty_database: str) -> None:
    upgrade(settings_of(empty_database))
    there = tables(empty_database)

    upgrade(settings_of(empty_database))

    assert tables(empty_database) == there
