"""Provide PostgreSQL for tests: one server per run and one migrated template database with the content."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from persistence.content.loader import load_content
from persistence.database import DatabaseSettings, create_engine
from persistence.migrate import upgrade

CONTENT = Path(__file__).parents[2] / "deploy" / "content"
TEMPLATE = "template_microcred"
ALONE = 7320
"""The advisory lock that `alone` takes."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Databases:
    """The databases of one server; `admin_url` is its administrator's URL."""

    admin_url: str

    def url(self, name: str) -> str:
        return f"{self.admin_url.rpartition('/')[0]}/{name}"

    @contextmanager
    def new(self, prefix: str, template: str | None = TEMPLATE) -> Iterator[str]:
        """Create a database for the block and yield its URL. It is a copy of the template, or empty without one."""
        name = f"{prefix}_{next(_numbers)}"
        source = SQL(" TEMPLATE {} STRATEGY FILE_COPY").format(Identifier(template)) if template else SQL("")
        self.run(SQL("CREATE DATABASE {}").format(Identifier(name)) + source)
        try:
            yield self.url(name)
        finally:
            self.run(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    @asynccontextmanager
    async def filled(
        self, prefix: str, rows: LiteralString, values: Mapping[str, object]
    ) -> AsyncIterator[AsyncEngine]:
        """Create a copy of the template, run the statements `rows` with the values, and yield an engine for it."""
        with self.new(prefix) as url:
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                psycopg.ClientCursor(connection).execute(rows, values)
                connection.execute("VACUUM ANALYZE")
            engine = create_engine(settings_of(url))
            try:
                yield engine
            finally:
                await engine.dispose()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run one such block at a time on the server, for changes that no single database owns, such as a role."""
        with psycopg.connect(self.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [ALONE])
            yield

    def make_template(self) -> None:
        self.run(SQL("CREATE DATABASE {}").format(Identifier(TEMPLATE)))
        settings = settings_of(self.url(TEMPLATE))
        upgrade(settings)
        asyncio.run(_load(settings))

    def run(self, statement: SQL | psycopg.sql.Composed) -> None:
        with psycopg.connect(self.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def database_server() -> Iterator[Databases]:
    # Not below pytest's directory: for root, the server runs under another account, which cannot read that directory.
    directory = Path(tempfile.mkdtemp(prefix="microcred-tests-"))
    try:
        with EmbeddedPostgres(directory, free_port(), durable=False) as server:
            databases = Databases(server.url)
            databases.make_template()
            yield databases
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def settings_of(url: str) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": url, "pool_size": 8})


async def _load(settings: DatabaseSettings) -> None:
    engine = create_engine(settings)
    await load_content(engine, CONTENT)
    await engine.dispose()
