"""What a namespace of the engine must hold: made at a worker's start, and again where the engine lost its data."""

import asyncio
from datetime import timedelta
from typing import NoReturn

import structlog
from temporalio.client import Client

from workflows.engine import search_attributes
from workflows.engine.schedules import (
    ensure_catalog_embedding,
    ensure_reconciliation,
    ensure_retention,
    has_reconciliation,
)
from workflows.policies import CATALOGUE_REBUILT_EVERY, RETENTION_EVERY

log = structlog.get_logger(__name__)


async def provision(client: Client, sweep_every: timedelta) -> None:
    """Search attributes and Schedules; the sweep comes last, so that where it is, the others are too."""
    await search_attributes.register(client)
    await ensure_catalog_embedding(client, CATALOGUE_REBUILT_EVERY)
    await ensure_retention(client, RETENTION_EVERY)
    await ensure_reconciliation(client, sweep_every)


async def watch(client: Client, sweep_every: timedelta) -> NoReturn:
    """Looks as often as it has_reconciliation: a worker outlives a server whose database was emptied, and polls the new one."""
    while True:
        await asyncio.sleep(sweep_every.total_seconds())
        try:
            if not await has_reconciliation(client):
                log.warning("engine_lost_its_data")
                await provision(client, sweep_every)
        except Exception as error:  # noqa: BLE001  # the engine is away: the next look will tell
            log.warning("engine_not_looked_at", error=type(error).__name__)
