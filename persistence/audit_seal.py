"""The hash chain over the audit trail. `python -m persistence.audit_seal` verifies it and names the first broken link.

The hash of a sealed row is a SHA-256 of the previous hash, the row's position in the chain and its content. Rows are
sealed in batches, in a separate transaction, some time after they were written. The chain has its own order: a row that
commits late is linked late. A number that a rolled back transaction used is missing from `seq` only.

The chain alone cannot show that its last rows were removed. The log event `audit_sealed` therefore copies the newest
hash outside the database.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database import DatabaseSettings, create_engine
from persistence.repositories.base import Repository

GENESIS: Final = "0" * 64
"""The "previous hash" of the first row."""
PAGE: Final = 1000
_LOCK: Final = 7_203_118_455_023
"""The key of the advisory lock: one process seals at a time. No other code in this database uses this number."""

# The content as JSON text, because PostgreSQL has exactly one form of it for each value. Times are in UTC, whatever the
# session's time zone is.
_CONTENT: Final = """
CAST(jsonb_build_array(
  id, seq, organization_id, actor_id, actor_role, action, resource_type, resource_id, correlation_id, metadata,
  created_at AT TIME ZONE 'UTC') AS text) AS content
"""

# The sequence bounds the length of the chain, apart from a few rows that were inserted with their own `seq`. A position
# far above that bound was not assigned by a seal. It must not become the newest link: it might be the highest value of
# its type.
_IN_CHAIN: Final = """
position BETWEEN 1 AND pg_sequence_last_value(pg_get_serial_sequence('audit_logs', 'seq')::regclass) + 1000000
"""
_HEAD: Final = text(f"SELECT position, hash FROM audit_logs WHERE {_IN_CHAIN} ORDER BY position DESC LIMIT 1")  # noqa: S608  # a condition of this code
_UNSEALED: Final = text(f"SELECT id, {_CONTENT} FROM audit_logs WHERE hash IS NULL ORDER BY seq LIMIT :limit")  # noqa: S608  # columns of this code
_SEAL: Final = text("""
UPDATE audit_logs SET position = link.position, hash = link.hash
FROM unnest(CAST(:ids AS uuid[]), CAST(:positions AS bigint[]), CAST(:hashes AS text[])) AS link (id, position, hash)
WHERE audit_logs.id = link.id
""")
_SEALED: Final = text(f"""
SELECT position, hash, {_CONTENT} FROM audit_logs WHERE position > :after AND {_IN_CHAIN} ORDER BY position LIMIT {PAGE}
""")  # noqa: S608  # columns and a number of this code
_NOT_IN_CHAIN: Final = text(f"""
SELECT
  (SELECT count(*) FROM audit_logs WHERE position IS NOT NULL AND NOT {_IN_CHAIN}) AS outsiders,
  (SELECT count(*) FROM audit_logs WHERE hash IS NULL) AS unsealed
""")  # noqa: S608  # a condition of this code

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Seal:
    """The result of verifying the chain: `rows` rows are valid, and `head` is the hash of the last valid one.

    `broken_at` is the first invalid position. `outsiders` counts rows whose position no seal can have assigned.
    `unsealed` counts rows that the next seal will include.
    """

    rows: int
    head: str
    broken_at: int | None = None
    outsiders: int = 0
    unsealed: int = 0

    @property
    def holds(self) -> bool:
        return self.broken_at is None and self.outsiders == 0


class SqlAuditTrail(Repository):
    async def seal(self, *, limit: int) -> int:
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = (await self._session.execute(_HEAD)).one_or_none()
        position, head = (0, GENESIS) if found is None else found
        rows = (await self._session.execute(_UNSEALED, {"limit": limit})).all()
        if not rows:
            return 0
        hashes = list[str]()
        for place, row in enumerate(rows, start=position + 1):
            head = link(head, place, row.content)
            hashes.append(head)
        positions = list(range(position + 1, position + 1 + len(rows)))
        ids: list[UUID] = [row.id for row in rows]
        await self._session.execute(_SEAL, {"ids": ids, "positions": positions, "hashes": hashes})
        log.info("audit_sealed", position=positions[-1], head=head)
        return len(rows)


def link(previous: str, position: int, content: str) -> str:
    return hashlib.sha256(f"{previous}\n{position}\n{content}".encode()).hexdigest()


async def verify(engine: AsyncEngine) -> Seal:
    """Verify the whole chain. A changed, missing or swapped row breaks it at its position."""
    async with engine.connect() as connection:
        outsiders, unsealed = (await connection.execute(_NOT_IN_CHAIN)).one()
    head, rows, broken_at = GENESIS, 0, None
    async for position, stored, content in _chain(engine):
        expected = link(head, rows + 1, content)
        if position != rows + 1 or stored != expected:
            broken_at = rows + 1
            break
        head, rows = expected, position
    return Seal(rows, head, broken_at, outsiders, unsealed)


async def _chain(engine: AsyncEngine) -> AsyncIterator[tuple[int, str, str]]:
    after = 0
    while True:
        async with engine.connect() as connection:
            page = (await connection.execute(_SEALED, {"after": after})).all()
        for row in page:
            yield row.position, row.hash, row.content
        if len(page) < PAGE:
            return
        after = page[-1].position


async def main() -> int:
    engine = create_engine(DatabaseSettings())
    try:
        seal = await verify(engine)
    finally:
        await engine.dispose()
    sys.stdout.write("".join(f"{line}\n" for line in report(seal)))
    return 0 if seal.holds else 1


def report(seal: Seal) -> list[str]:
    """Return the lines that the command prints."""
    lines = [f"OK: {seal.rows} rows are valid, last hash {seal.head}; {seal.unsealed} rows are not sealed yet"]
    if seal.broken_at is not None:
        lines = [
            f"BROKEN at position {seal.broken_at}; the {seal.rows} rows before it are valid, last hash {seal.head}"
        ]
    if seal.outsiders:
        lines.append(
            f"OUTSIDE the chain: {seal.outsiders} rows with a position that no seal assigns (below 1 or far too high)"
        )
    return lines


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
