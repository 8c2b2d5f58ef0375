"""Restore a database to an earlier state while no process uses it."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.sql import SQL, Identifier

from tests.support.databases import Databases
from tests.support.deployment import Deployment


@contextmanager
def without_processes(deployment: Deployment) -> Iterator[None]:
    """Stop the API and the worker for the block, as during a restore."""
    deployment.api.stop()
    deployment.worker.stop()
    yield
    deployment.start_worker()
    deployment.start_api()


def copy(databases: Databases, source: str, target: str) -> None:
    """Replace `target` with a copy of `source`, which has the effect of a dump and a restore."""
    databases.run(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(target)))
    databases.run(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(target), Identifier(source)))
