"""`deploy.migrate` prepares an empty database, so that API and workers can use it with their own role."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from deploy.migrate import ROLE, AppRoleSettings, migrate
from tests.support.databases import Databases, settings_of
from tests.support.deployment import libpq


@pytest.fixture
def migrated(databases: Databases, worker_name: str) -> Iterator[str]:
    """A database migrated twice, the second time with another password. Yields the URL of the app's role."""
    with databases.alone(), databases.new(f"{worker_name}_released", template=None) as url:
        for password in ("the-first-password", "the-second-password"):
            migrate(settings_of(url), AppRoleSettings.model_validate({"app_role_password": password}))
        yield libpq(url).replace("//microcred:microcred@", f"//{ROLE}:the-second-password@")
        with psycopg.connect(libpq(url), autocommit=True) as owner:
            owner.execute("DROP OWNED BY microcred_app")


def test_the_app_reads_and_writes_with_the_newest_password(migrated: str) -> None:
    with psycopg.connect(migrated) as app:
        app.execute("INSERT INTO organizations (id, name) VALUES (gen_random_uuid(), 'One')")

        assert app.execute("SELECT current_user, name FROM organizations").fetchall() == [(ROLE, "One")]


def test_the_app_reads_and_writes_every_table_but_the_protected_ones(migrated: str) -> None:
    with psycopg.connect(migrated) as app:
        found = app.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT ("
            " has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')"
            " AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))"
        ).fetchall()

    assert {name for (name,) in found} == {"alembic_version", "audit_logs"}


def test_the_app_may_change_neither_the_schema_nor_its_version(migrated: str) -> None:
    for statement in (
        b"ALTER TABLE organizations ADD extra int",
        b"DELETE FROM alembic_version",
        b"CREATE TEMPORARY TABLE organizations (id uuid)",
        b"INSERT INTO audit_logs (id, action, resource_type, position) VALUES (gen_random_uuid(), 'x', 'x', 0)",
    ):
        with psycopg.connect(migrated) as app, pytest.raises(InsufficientPrivilege):
            app.execute(statement)
