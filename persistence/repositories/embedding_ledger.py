"""Record the cost of paid embeddings as metrics: one row for the tokens and one for the cents of each request."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.grading.ledger import EmbeddingPurchase
from domain.ids import derived_id
from persistence.database import storage_errors
from persistence.tables import MetricSnapshotRow


class SqlEmbeddingLedger:
    """The port `EmbeddingLedger`. Each call is a separate transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, purchase: EmbeddingPurchase) -> None:
        rows = _rows(purchase)
        if not rows:
            return
        with storage_errors():
            async with self._engine.begin() as connection:
                await connection.execute(insert(MetricSnapshotRow).on_conflict_do_nothing(), rows)


def _rows(purchase: EmbeddingPurchase) -> list[dict[str, Any]]:
    """Return the metric rows. An unknown number has no row."""
    context = {
        "provider": purchase.provider,
        "model": purchase.model,
        "texts": purchase.texts,
        "request_id": purchase.request_id,
    }
    numbers = {"embedding_tokens": purchase.tokens, "embedding_cost_cents": purchase.cost_cents}
    return [
        {"id": derived_id("metric", name, purchase.id), "metric_type": name, "value": value, "context": context}
        for name, value in numbers.items()
        if value is not None
    ]
