"""Brings the database to the newest schema: `python -m persistence.migrate`. Safe to run in several places at once."""

from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from persistence.engine import DatabaseSettings

log = structlog.get_logger(__name__)


def alembic_config(settings: DatabaseSettings) -> Config:
    """Alembic's configuration, the same from any working directory."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["settings"] = settings
    return config


def upgrade(settings: DatabaseSettings) -> None:
    config = alembic_config(settings)
    command.upgrade(config, "head")
    log.info("database_migrated", revision=ScriptDirectory.from_config(config).get_current_head())


if __name__ == "__main__":
    upgrade(DatabaseSettings())
