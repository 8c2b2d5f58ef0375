"""Helpers for migrations of a running service: short locks, concurrent index builds, small batches.

Every migration runs in its own transaction with a lock timeout and a statement timeout (`env.py`), so that it fails
before the service waits for long. Work that needs longer on a large table runs outside of that transaction:
`create_index`, `validate` or `fill_in_batches`. Each of them first commits the work before it. A migration that uses
one must therefore be safe to run again from its start after an interruption.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from alembic import op
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import TextClause, text

_IS_VALID: Final = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


class MigrationSettings(BaseSettings):
    """Read `MIGRATION_…`: the lock timeout and the statement timeout of migrations.

    Requests for a table queue behind a migration that waits for a lock on it. `lock_timeout_s` is therefore also the
    longest delay of those requests before the migration is rolled back and retried.
    """

    model_config = SettingsConfigDict(env_prefix="MIGRATION_", frozen=True, extra="ignore")

    lock_timeout_s: float = Field(default=0.5, gt=0)
    statement_timeout_s: float = Field(default=2.0, gt=0)
    attempts: int = Field(default=60, ge=1)
    """Number of attempts when a lock is not available, one second apart."""

    @property
    def options(self) -> str:
        """Return the timeouts as options of a connection."""
        limits = {"lock_timeout": self.lock_timeout_s, "statement_timeout": self.statement_timeout_s}
        return " ".join(f"-c {name}={round(1000 * seconds)}" for name, seconds in limits.items())


@contextmanager
def without_timeouts() -> Iterator[None]:
    """Commit the transaction and run the statements one by one, without timeouts.

    Use it only for statements whose locks allow others to read and write rows.
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        yield
        op.execute("RESET lock_timeout")
        op.execute("RESET statement_timeout")


def create_index(name: str, table: str, columns: list[Any], **options: Any) -> None:  # noqa: ANN401  # Alembic's
    """Build an index while rows are written. Rebuild one that an interrupted run left unfinished."""
    with without_timeouts():
        if op.get_bind().scalar(_IS_VALID, {"name": name}):
            return
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)


def validate(constraint: str, table: str) -> None:
    """Check the existing rows against a constraint that was added as NOT VALID, while rows are written."""
    with without_timeouts():
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")


def fill_in_batches(batch: TextClause, *, size: int = 2000) -> None:
    """Commit the transaction and run `batch` until it returns no id; each batch is a separate transaction.

    `batch` takes `after` (the last id of the previous batch) and `size`, and returns the last id that it processed.
    """
    after = "00000000-0000-0000-0000-000000000000"
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        while last := connection.scalar(batch, {"after": after, "size": size}):
            after = str(last)
