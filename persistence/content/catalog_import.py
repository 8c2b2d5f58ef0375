"""Import credentials in one transaction, all rows or none, and store a report per row."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text, update

from persistence.content.catalog_rows import CatalogEntry, ImportRow, Outcome, Reading, RowReport, check_rows, ids_named
from persistence.content.rows import IMPORT as SOURCE
from persistence.content.rows import LOCK, credential_row, write
from persistence.queries.catalog_views import IMPORT, PENDING, ImportView, import_view
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.repositories.documents import encode
from persistence.tables import CatalogImportRow, CredentialRow, RoleRow

BATCH: Final = 500
"""Rows per statement. Building the JSON parameter blocks the event loop for about 20 ms."""

# The named credentials and, recursively, their prerequisites: a cycle may include credentials outside the import.
_KNOWN: Final = text("""
WITH RECURSIVE needed AS (
  SELECT id, key, version, active, metadata ->> 'source' AS source, prerequisites
  FROM credential_catalog WHERE id = ANY(:ids)
  UNION
  SELECT c.id, c.key, c.version, c.active, c.metadata ->> 'source', c.prerequisites
  FROM needed CROSS JOIN LATERAL unnest(needed.prerequisites) AS other(needed_id)
  JOIN credential_catalog AS c ON c.id = needed_id
)
SELECT id, key, version, active, source, prerequisites FROM needed
""")

_UNFINISHED: Final = "i.status IN ('queued', 'running') AND i.created_at < now() - make_interval(secs => :older_than_s)"
_COUNT: Final = text(f"SELECT count(*) FROM catalog_imports AS i WHERE {_UNFINISHED}")  # noqa: S608  # constants
_CLOSE: Final = text(f"""
UPDATE catalog_imports AS i
SET status = CASE WHEN left_over.entries = 0 THEN 'succeeded' ELSE 'running' END,
  completed_at = CASE WHEN left_over.entries = 0 THEN now() END
FROM (SELECT i.id, ({PENDING}) AS entries FROM catalog_imports AS i WHERE {_UNFINISHED}) AS left_over
WHERE i.id = left_over.id
""")  # noqa: S608  # constants


class SqlCatalogImports(Repository):
    """Write imports in the caller's transaction. The caller commits and then starts the catalogue's workflow."""

    async def add(self, reading: Reading, admin: Actor) -> ImportView:
        """Import the rows.

        Raises:
            InvalidInput: a row is invalid; nothing was changed.
        """
        await self._session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        known = await self._known([*reading.rows, *reading.refused])
        report = await asyncio.to_thread(check_rows, reading, known, await self._skills())
        rows = [row for row, each in zip(reading.rows, report, strict=True) if each.status is not Outcome.UNCHANGED]
        written = [row for row in rows if row.credential]
        for start in range(0, len(written), BATCH):
            batch = [credential_row(row.credential, SOURCE) for row in written[start : start + BATCH] if row.credential]
            await write(self._session, "credential", CredentialRow, batch)
        await self._withdraw([row.id for row in rows if not row.credential])
        return await self._record(report, reading.detected, [row.id for row in written], admin)

    async def view(self, import_id: UUID) -> ImportView:
        return import_view((await self._session.execute(text(IMPORT), {"import_id": import_id})).mappings().one())

    async def unfinished(self, *, older_than_s: float) -> int:
        count: int = (await self._session.execute(_COUNT, {"older_than_s": older_than_s})).scalar_one()
        return count

    async def close_embedded(self, *, older_than_s: float) -> None:
        await self._session.execute(_CLOSE, {"older_than_s": older_than_s})

    async def _known(self, rows: Sequence[ImportRow]) -> dict[UUID, CatalogEntry]:
        found = await self._session.execute(_KNOWN, {"ids": ids_named(rows)})
        return {row["id"]: CatalogEntry(**row) for row in found.mappings()}

    async def _skills(self) -> frozenset[str]:
        """Return the skills that a role targets."""
        named = func.jsonb_array_elements(RoleRow.skills_profile).op("->>")("skill")
        return frozenset(await self._session.scalars(select(named).where(RoleRow.active).distinct()))

    async def _withdraw(self, ids: Sequence[UUID]) -> None:
        if ids:
            row = CredentialRow
            await self._session.execute(update(row).where(row.id == func.any(ids)).values(active=False))

    async def _record(
        self, report: Sequence[RowReport], detected: Mapping[str, str] | None, to_embed: Sequence[UUID], admin: Actor
    ) -> ImportView:
        import_id = uuid4()
        counted = Counter(each.status for each in report)
        counts = {str(outcome): counted[outcome] for outcome in Outcome}
        changed = len(report) - counted[Outcome.UNCHANGED]
        await self._session.execute(
            insert(CatalogImportRow).values(
                id=import_id,
                requested_by=admin.id,
                status="queued" if changed else "succeeded",
                row_count=len(report),
                report={"counts": counts, "rows": [encode(each) for each in report], "detected": detected},
                credential_ids=to_embed,
                completed_at=None if changed else func.now(),
            )
        )
        await audit.record(self._session, admin, "catalog.imported", "catalog_import", import_id, None, **counts)
        return await self.view(import_id)
