"""`python -m deploy.migrate`: the newest schema, and the role that the API and the workers log in with.

For the owner of the schema, before the new processes start. It may be repeated, and run in several places at once.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier, Literal
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from persistence.database import DatabaseSettings
from persistence.migrate import MigrationStopped, upgrade

SCRIPT: Final = Path(__file__).parent / "postgres" / "app_role.sql"
ROLE: Final = "microcred_app"
LOCK: Final = 7_203_118_455_022
"""Any number that nothing else in this database locks: two grants on one table at once fail."""


class AppRoleSettings(BaseSettings):
    """`APP_ROLE_PASSWORD`: what the role of `deploy/postgres/app_role.sql` logs in with."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    app_role_password: SecretStr = Field(min_length=16)


def migrate(database: DatabaseSettings, role: AppRoleSettings) -> None:
    """Upgrades the schema, then grants what the app's role may do.

    Raises:
        MigrationStopped: the schema was not upgraded, because others would have waited for long.
        psycopg.errors.InsufficientPrivilege: the owner may not make roles.
    """
    upgrade(database)
    url = database.sqlalchemy_url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute(SCRIPT.read_bytes())
        connection.execute(_with_password(connection, role.app_role_password.get_secret_value()))


def _with_password(connection: psycopg.Connection, password: str) -> psycopg.sql.Composed:
    """Only a hash travels: a statement may end up in the server's log."""
    hashed = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    return SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(ROLE), Literal(hashed))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        migrate(DatabaseSettings(), AppRoleSettings())
    except MigrationStopped as stopped:
        sys.exit(str(stopped))
