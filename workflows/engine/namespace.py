"""Provision the Temporal namespace at a worker's start, and again after the server has lost its data."""

import asyncio
from datetime import timedelta
from typing import NoReturn

import structlog
from temporalio.client import Client

from workflows.engine import search_attributes
from workflows.engine.schedules import (
    end_stuck_runs,
    ensure_catalog_embedding,
    ensure_reconciliation,
    ensure_retention,
    has_reconciliation,
)
from workflows.policies import CATALOGUE_REBUILT_EVERY, RETENTION_EVERY

log = structlog.get_logger(__name__)


async def provision(client: Client, sweep_every: timedelta) -> None:
    """Create search attributes and Schedules. Reconciliation comes last: if it exists, the others do too."""
    await search_attributes.register(client)
    await ensure_catalog_embedding(client, CATALOGUE_REBUILT_EVERY)
    await ensure_retention(client, RETENTION_EVERY)
    await ensure_reconciliation(client, sweep_every)


async def watch(client: Client, sweep_every: timedelta) -> NoReturn:
    """Provision again when the Schedule of reconciliation is missing, which means that the server lost its data.

    Workers do not restart when the server's database is emptied. The check runs every `sweep_every`. It also ends runs
    of earlier releases that block a Schedule.
    """
    while True:
        await asyncio.sleep(sweep_every.total_seconds())
        try:
            if not await has_reconciliation(client):
                log.warning("engine_lost_its_data")
                await provision(client, sweep_every)
            await end_stuck_runs(client)
        except Exception as error:  # noqa: BLE001  # the server is down; the next check follows
            log.warning("engine_not_looked_at", error=type(error).__name__)
