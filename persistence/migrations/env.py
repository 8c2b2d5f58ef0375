"""Run the migrations on one connection, one process at a time, each migration in a separate transaction."""

import time

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from persistence.database import DatabaseSettings
from persistence.migrations.locks import MigrationSettings
from persistence.tables import Base

LOCK = 7_203_118_455_021
"""The key of the advisory lock. No other code in this database uses this number."""
LOOK_AGAIN_S = 0.2


def migrate(connection: Connection) -> None:
    wait_for_turn(connection)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def wait_for_turn(connection: Connection) -> None:
    """Take the lock until the connection closes.

    The lock is polled: a statement that waits for it would hold a snapshot, and the process that holds the lock may
    build an index concurrently, which waits for all older snapshots.
    """
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        connection.rollback()
        time.sleep(LOOK_AGAIN_S)
    connection.commit()


settings = context.config.attributes.get("settings") or DatabaseSettings()
limits = context.config.attributes.get("limits") or MigrationSettings()
engine = create_engine(
    settings.sqlalchemy_url, poolclass=NullPool, hide_parameters=True, connect_args={"options": limits.options}
)
with engine.connect() as connection:
    migrate(connection)
