"""`python -m persistence.migrate`: migrate the database to the newest schema. It is safe to run concurrently.

It can run while the service reads and writes. A migration that cannot get a lock within its lock timeout is rolled back
and retried. A statement that holds a lock for too long is cancelled.
"""

import sys
import time
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled
from sqlalchemy.exc import OperationalError

from persistence.database import DatabaseSettings
from persistence.migrations.locks import MigrationSettings

RETRY_AFTER_S: Final = 1.0

log = structlog.get_logger(__name__)


class MigrationStopped(Exception):
    """A migration was rolled back, so that it does not block other transactions for long. It can be rerun.

    Completed migrations stay.
    """


def alembic_config(settings: DatabaseSettings, limits: MigrationSettings | None = None) -> Config:
    """Return Alembic's configuration. It does not depend on the working directory."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["settings"] = settings
    config.attributes["limits"] = limits
    return config


def upgrade(settings: DatabaseSettings, limits: MigrationSettings | None = None) -> None:
    """Migrate to the newest revision, with retries when a lock is not available.

    Raises:
        MigrationStopped: no attempt got its locks, or a statement took too long.
    """
    limits = limits or MigrationSettings()
    config = alembic_config(settings, limits)
    for attempt in range(1, limits.attempts + 1):
        if _has_upgraded(config, limits):
            log.info("database_migrated", revision=ScriptDirectory.from_config(config).get_current_head())
            return
        log.warning("migration_waits_for_lock", attempt=attempt, of=limits.attempts)
        if attempt < limits.attempts:
            time.sleep(RETRY_AFTER_S)
    raise MigrationStopped(
        f"A migration did not get its lock in {limits.attempts} attempts of {limits.lock_timeout_s:g} s each: a long"
        " transaction locks the table. Find it in pg_stat_activity by its xact_start, end it or wait until it ends, and"
        " run the migration again."
    )


def _has_upgraded(config: Config, limits: MigrationSettings) -> bool:
    """Upgrade the schema. Return False when a lock was not available.

    Raises:
        MigrationStopped: a statement took too long.
    """
    try:
        command.upgrade(config, "head")
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            return False
        if isinstance(error.orig, QueryCanceled):
            raise MigrationStopped(
                f"A statement of a migration exceeded its timeout of {limits.statement_timeout_s:g} s and was rolled"
                f" back, because it may block other transactions: {_beginning(error.statement)}. Run the migration at a"
                " time of low load, or raise MIGRATION_STATEMENT_TIMEOUT_S."
            ) from None
        raise
    return True


def _beginning(statement: str | None) -> str:
    return " ".join((statement or "").split())[:120]


if __name__ == "__main__":
    try:
        upgrade(DatabaseSettings())
    except MigrationStopped as stopped:
        sys.exit(str(stopped))
