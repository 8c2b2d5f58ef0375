"""Migrations beside a running service: short locks, indexes that are built while rows are written, small batches.

Every migration runs in a transaction of its own with a lock timeout and a statement timeout (`env.py`), so that it
fails before the service waits for long. What needs longer than the statement timeout on a large table belongs outside
of that transaction: `create_index`, `validate` or `fill_in_batches`. Each of them commits what came before it. A
migration that uses one must therefore be safe to run again from its start after an interruption.
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
    """`MIGRATION_…`: how long a migration may wait for a lock, and how long one statement may hold one.

    Requests for a table queue behind a migration that waits for its lock, so `lock_timeout_s` is also how long they
    are delayed at most before the migration gives way and tries again.
    """

    model_config = SettingsConfigDict(env_prefix="MIGRATION_", frozen=True, extra="ignore")

    lock_timeout_s: float = Field(default=0.5, gt=0)
    statement_timeout_s: float = Field(default=2.0, gt=0)
    attempts: int = Field(default=60, ge=1)
    """How often a migration that did not get its lock is tried, a second apart."""

    @property
    def options(self) -> str:
        """The timeouts as options of a connection."""
        limits = {"lock_timeout": self.lock_timeout_s, "statement_timeout": self.statement_timeout_s}
        return " ".join(f"-c {name}={round(1000 * seconds)}" for name, seconds in limits.items())


@contextmanager
def without_timeouts() -> Iterator[None]:
    """Commit the transaction and run statements one by one, without timeouts.

    Only for statements whose locks let others read and write rows.
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        yield
        op.execute("RESET lock_timeout")
        op.execute("RESET statement_timeout")


def create_index(name: str, table: str, columns: list[Any], **options: Any) -> None:  # noqa: ANN401  # Alembic's
    """Build an index while rows are written. One that an interrupted run left unfinished is built anew."""
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
    """Commit the transaction and run `batch` until it returns no id; each run is a transaction of its own.

    `batch` takes `after` (the last id of the batch before) and `size`, and returns the last id that it looked at.
    """
    after = "00000000-0000-0000-0000-000000000000"
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        while last := connection.scalar(batch, {"after": after, "size": size}):
            after = str(last)
