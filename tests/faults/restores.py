"""Bringing a database back to where it was, with nobody at work on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.sql import SQL, Identifier

from tests.support.databases import Databases
from tests.support.deployment import Deployment


@contextmanager
def away(deployment: Deployment) -> Iterator[None]:
    """Without API and workers, as while a dump is restored."""
    deployment.api.stop()
    deployment.worker.stop()
    yield
    deployment.start_worker()
    deployment.start_api()


def copy(databases: Databases, source: str, target: str) -> None:
    """What a dump and its restore come to."""
    databases.run(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(target)))
    databases.run(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(target), Identifier(source)))
