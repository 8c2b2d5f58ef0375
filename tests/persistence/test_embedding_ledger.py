"""The cost of embeddings is recorded once, and only if it is known."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.grading.ledger import EmbeddingPurchase
from persistence.database import create_engine
from persistence.repositories.embedding_ledger import SqlEmbeddingLedger
from persistence.tables import MetricSnapshotRow
from tests.support.databases import Databases, settings_of


@pytest.fixture(scope="module")
async def database(databases: Databases, worker_name: str) -> AsyncIterator[AsyncEngine]:
    """A database for tests that commit, because the ledger uses its own transactions."""
    with databases.new(f"{worker_name}_ledger") as url:
        engine = create_engine(settings_of(url))
        yield engine
        await engine.dispose()


def a_purchase() -> EmbeddingPurchase:
    """Return a purchase; the provider's request number makes it distinct."""
    return EmbeddingPurchase(
        id=uuid4(),
        provider="openai",
        model="text-embedding-3-small",
        texts=64,
        tokens=4_096,
        cost_cents=Decimal("0.008192"),
        request_id=f"req-{uuid4()}",
    )


async def kept(database: AsyncEngine, bought: EmbeddingPurchase) -> dict[str, tuple[object, ...]]:
    columns = (MetricSnapshotRow.value, MetricSnapshotRow.assessment_id, MetricSnapshotRow.context)
    of_request = MetricSnapshotRow.context["request_id"].astext == bought.request_id
    async with database.connect() as connection:
        rows = await connection.execute(select(MetricSnapshotRow.metric_type, *columns).where(of_request))
        return {row[0]: tuple(row[1:]) for row in rows}


async def test_a_purchase_has_rows_for_tokens_and_cents_without_an_assessment(database: AsyncEngine) -> None:
    bought = a_purchase()
    await SqlEmbeddingLedger(database).record(bought)

    context = {
        "provider": "openai",
        "model": "text-embedding-3-small",
        "texts": 64,
        "request_id": bought.request_id,
    }
    assert await kept(database, bought) == {
        "embedding_tokens": (4_096, None, context),
        "embedding_cost_cents": (Decimal("0.008192"), None, context),
    }


async def test_a_purchase_recorded_twice_is_stored_once(database: AsyncEngine) -> None:
    bought = a_purchase()
    for told in (bought, replace(bought, tokens=1)):
        await SqlEmbeddingLedger(database).record(told)

    assert (await kept(database, bought))["embedding_tokens"][0] == 4_096


async def test_unknown_numbers_have_no_row(database: AsyncEngine) -> None:
    without_price, unknown = replace(a_purchase(), cost_cents=None), replace(a_purchase(), tokens=None, cost_cents=None)
    for bought in (without_price, unknown):
        await SqlEmbeddingLedger(database).record(bought)

    assert set(await kept(database, without_price)) == {"embedding_tokens"}
    assert await kept(database, unknown) == {}
