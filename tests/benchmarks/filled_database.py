"""A PostgreSQL server with the schema, the demo's content and the rows of a benchmark."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from persistence.content.loader import load_content
from persistence.database import DatabaseSettings, create_engine
from persistence.migrate import upgrade
from tests.support.databases import CONTENT, settings_of


@contextmanager
def filled_database(rows: LiteralString, values: Mapping[str, object]) -> Iterator[str]:
    """Start a server, run the statements `rows` with the values, and return the URL of its database."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        EmbeddedPostgres(Path(directory), free_port()) as server,
    ):
        settings = settings_of(server.url)
        upgrade(settings)
        asyncio.run(_load(settings))
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
            psycopg.ClientCursor(connection).execute(rows, values)
            connection.execute("VACUUM ANALYZE")
        yield server.url


async def _load(settings: DatabaseSettings) -> None:
    engine = create_engine(settings)
    await load_content(engine, CONTENT)
    await engine.dispose()
