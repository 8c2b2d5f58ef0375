"""Listen to notifications of PostgreSQL on one connection of its own, and reconnect when it is lost."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from persistence.database import KEEPALIVE, DatabaseSettings

RECONNECT_S: Final = 2.0

log = structlog.get_logger(__name__)


class Listener:
    """Call `on_notify` with the payload of each notification on a channel, and with None after each (re)connection.

    Notifications are lost while there is no connection, so None means that anything may have changed. A pooler in
    transaction mode loses all of them; callers must look at the database from time to time anyway.
    """

    def __init__(self, settings: DatabaseSettings, channel: str, on_notify: Callable[[str | None], None]) -> None:
        url = settings.sqlalchemy_url.set(drivername="postgresql")
        self._server = make_conninfo(
            url.render_as_string(hide_password=False),
            connect_timeout=settings.connect_timeout_s,
            application_name="microcred-notifications",
            **KEEPALIVE,
        )
        self._listen = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
        self._on_notify = on_notify
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start listening unless it has been started."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except (psycopg.Error, OSError) as error:
                log.warning("notifications_lost", error_type=type(error).__qualname__)
            await asyncio.sleep(RECONNECT_S)

    async def _follow(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._server, autocommit=True)
        async with connection:
            await connection.execute(self._listen)
            self._on_notify(None)
            async for notification in connection.notifies():
                self._on_notify(notification.payload)
