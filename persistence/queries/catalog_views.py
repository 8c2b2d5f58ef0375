"""Result types of queries about catalogue imports."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportView:
    """An import. `counts` maps outcomes to numbers of rows, `rows` are the reports.

    `pending` counts the entries that have no vector of their text. `detected` holds the encoding and the delimiter of a
    CSV. `status` is `queued` while none of the entries has a vector of its text, `running` while some have one,
    `succeeded` when all have one.
    """

    id: UUID
    status: str
    pending: int
    counts: Mapping[str, int]
    rows: list[Any]
    detected: Mapping[str, str] | None
    created_at: datetime
    completed_at: datetime | None


def import_view(row: RowMapping) -> ImportView:
    """Convert a row of IMPORT."""
    status = row["status"]
    if status in {"queued", "running"}:
        untouched = row["pending"] == row["to_embed"]
        status = "succeeded" if not row["pending"] else "queued" if untouched else "running"
    return ImportView(
        id=row["id"],
        status=status,
        pending=row["pending"],
        counts=row["report"]["counts"],
        rows=row["report"]["rows"],
        detected=row["report"].get("detected"),
        created_at=row["created_at"],
        completed_at=row["completed_at"],
    )


PENDING: Final = """
SELECT count(*) FROM unnest(i.credential_ids) AS entry(id) JOIN credential_catalog AS c USING (id)
WHERE c.active AND NOT EXISTS (
  SELECT FROM embedding_artifacts AS a
  WHERE a.entity_type = 'credential' AND a.entity_id = c.id AND a.text_hash = c.text_hash
)
"""
"""The number of entries of the import `i` without a vector of their current text."""

IMPORT: Final = f"""
SELECT i.id, i.status, i.report, i.created_at, i.completed_at, cardinality(i.credential_ids) AS to_embed,
  CASE WHEN i.status IN ('queued', 'running') THEN ({PENDING}) ELSE 0 END AS pending
FROM catalog_imports AS i WHERE i.id = :import_id
"""  # noqa: S608  # constants
