"""Make the database refuse the writes about one object, with an error that no code expects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

SECRET = "what the database prints"

_FUNCTION = f"""
CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{SECRET}'; END $$"""
_TRIGGER = """
CREATE TRIGGER fails BEFORE INSERT ON audit_logs FOR EACH ROW
WHEN (NEW.resource_id = '{id}') EXECUTE FUNCTION fails()"""


@asynccontextmanager
async def failing_writes(sessions: async_sessionmaker[AsyncSession], resource_id: UUID) -> AsyncIterator[None]:
    """Fail every change of this object inside the block: its row of the audit trail cannot be written."""
    await _run(sessions, _FUNCTION, _TRIGGER.format(id=resource_id))
    try:
        yield
    finally:
        await _run(sessions, "DROP TRIGGER fails ON audit_logs", "DROP FUNCTION fails")


async def _run(sessions: async_sessionmaker[AsyncSession], *statements: str) -> None:
    async with sessions() as session:
        for statement in statements:
            await session.execute(text(statement))
        await session.commit()
