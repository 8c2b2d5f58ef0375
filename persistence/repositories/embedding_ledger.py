"""What paid vectors cost, among the measured numbers: a row for the tokens and one for the cents of each request."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.grading.ledger import EmbeddingPurchase
from domain.ids import derived_id
from persistence.database_errors import storage_errors
from persistence.tables import MetricSnapshotRow


class SqlEmbeddingLedger:
    """The port `EmbeddingLedger`; each call is a transaction of its own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, bought: EmbeddingPurchase) -> None:
        rows = _rows(bought)
        if not rows:
            return
        with storage_errors():
            async with self._engine.begin() as connection:
                await connection.execute(insert(MetricSnapshotRow).on_conflict_do_nothing(), rows)


def _rows(bought: EmbeddingPurchase) -> list[dict[str, Any]]:
    """What nobody knows has no row."""
    context = {
        "provider": bought.provider,
        "model": bought.model,
        "texts": bought.texts,
        "request_id": bought.request_id,
    }
    numbers = {"embedding_tokens": bought.tokens, "embedding_cost_cents": bought.cost_cents}
    return [
        {"id": derived_id("metric", name, bought.id), "metric_type": name, "value": value, "context": context}
        for name, value in numbers.items()
        if value is not None
    ]
