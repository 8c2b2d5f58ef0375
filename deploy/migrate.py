"""Migrate the schema and set up the database role of the API and the workers: `python -m deploy.migrate`.

Run it as the owner of the schema before the new processes start. It is idempotent and may run several times at once.
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
"""The key of an advisory lock, because two concurrent grants on one table fail. No other code uses this number."""


class AppRoleSettings(BaseSettings):
    """`APP_ROLE_PASSWORD`: the password of the role in `deploy/postgres/app_role.sql`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    app_role_password: SecretStr = Field(min_length=16)


def migrate(database: DatabaseSettings, role: AppRoleSettings) -> None:
    """Upgrade the schema, then grant the rights of the app's role.

    Raises:
        MigrationStopped: the schema was not upgraded, because the migration would have blocked other sessions for long.
        psycopg.errors.InsufficientPrivilege: the owner may not create roles.
    """
    upgrade(database)
    url = database.sqlalchemy_url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute(SCRIPT.read_bytes())
        connection.execute(_with_password(connection, role.app_role_password.get_secret_value()))


def _with_password(connection: psycopg.Connection, password: str) -> psycopg.sql.Composed:
    """Return the statement with a hash only, because the server may log statements."""
    hashed = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    return SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(ROLE), Literal(hashed))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        migrate(DatabaseSettings(), AppRoleSettings())
    except MigrationStopped as stopped:
        sys.exit(str(stopped))
