"""`python -m deploy.local.migration_check`: the migrations go up, match the tables, go down, and up again."""

import sys
import tempfile
from pathlib import Path

import structlog
from alembic import command
from alembic.util import CommandError
from pydantic import SecretStr

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from persistence.engine import DatabaseSettings
from persistence.migrate import alembic_config, upgrade

log = structlog.get_logger(__name__)


def main() -> int:
    """1 when the tables and the migrations differ; a migration that cannot run raises."""
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedPostgres(Path(directory) / "postgres", free_port(), durable=False) as postgres,
    ):
        settings = DatabaseSettings(url=SecretStr(postgres.url))
        config = alembic_config(settings)
        upgrade(settings)
        try:
            command.check(config)
        except CommandError as difference:
            log.error("migrations_differ_from_tables", difference=str(difference))  # noqa: TRY400  # no trace
            return 1
        command.downgrade(config, "base")
        upgrade(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
