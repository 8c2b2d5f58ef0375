"""Execution plans of statements, and the rows that their nodes handle."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine


async def explained(engine: AsyncEngine, statement: str, parameters: Any, *, large: bool = False) -> dict[str, Any]:
    """Return the plan; with `large`, the plan for tables that are too large for sequential scans."""
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"SET LOCAL enable_seqscan = {'off' if large else 'on'}")
        found = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
        [plan] = found.scalar_one()
    root: dict[str, Any] = plan["Plan"]
    return root


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)


def handled(node: dict[str, Any]) -> float:
    """Rows that a node of a plan returned or discarded."""
    dropped = sum(rows for name, rows in node.items() if name.startswith("Rows Removed"))
    return float(node["Actual Loops"] * (node["Actual Rows"] + dropped))
