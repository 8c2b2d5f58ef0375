"""Runs the migrations on one connection, in one transaction, one process at a time."""

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from persistence.engine import DatabaseSettings
from persistence.tables import Base

LOCK = 7_203_118_455_021
"""Any number that nothing else in this database locks."""


def migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


settings = context.config.attributes.get("settings") or DatabaseSettings()
engine = create_engine(settings.sqlalchemy_url, poolclass=NullPool, hide_parameters=True)
with engine.begin() as connection:
    migrate(connection)
