"""Brings the database to the newest schema: `python -m persistence.migrate`. Safe to run in several places at once.

It may run beside a service that reads and writes: a migration that does not get its lock at once gives way and is
tried again, and one that would hold a lock for long is stopped.
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
    """A migration gave up before it made others wait for long. Completed migrations stay; it may be run again."""


def alembic_config(settings: DatabaseSettings, limits: MigrationSettings | None = None) -> Config:
    """Alembic's configuration, the same from any working directory."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["settings"] = settings
    config.attributes["limits"] = limits
    return config


def upgrade(settings: DatabaseSettings, limits: MigrationSettings | None = None) -> None:
    """Raises MigrationStopped."""
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
        " transaction holds the table. Find it in pg_stat_activity by its xact_start, end it or wait for it, and run"
        " the migration again."
    )


def _has_upgraded(config: Config, limits: MigrationSettings) -> bool:
    """Whether the schema is at its head now; False where a lock was not to be had.

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
                f"A statement of a migration ran for {limits.statement_timeout_s:g} s, while others may have waited for"
                f" its lock, and was undone: {_beginning(error.statement)}. Run the migration when less is going on,"
                " or let it take longer: MIGRATION_STATEMENT_TIMEOUT_S."
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
