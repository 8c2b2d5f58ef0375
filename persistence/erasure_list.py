"""The list of erased users. It is kept outside the database, so that erasures can be repeated after a restore."""

import asyncio
import fcntl
import os
from pathlib import Path
from uuid import UUID

import structlog
from pydantic_settings import BaseSettings, SettingsConfigDict

log = structlog.get_logger(__name__)


class ErasureListSettings(BaseSettings):
    """Read `ERASURE_LIST`: the path of a file that all workers of `assessments` share.

    The file must be on storage that survives the loss of a worker and of the database.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    erasure_list: Path = Path(".local/erasures")


class FileErasureList:
    """A file with one user id per line, each id once. `add` returns after the line is on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def add(self, user_id: UUID) -> None:
        await asyncio.to_thread(self._add, user_id)

    def read(self) -> list[UUID]:
        """Return the user ids in the order of their erasure; empty when the file does not exist.

        A last line without a line break is left out: the machine stopped while it was written, so `add` has not
        returned, and that erasure is not finished.
        """
        if not self._path.exists():
            return []
        *lines, incomplete = self._path.read_text(encoding="ascii").split("\n")
        if incomplete:
            log.warning("erasure_list_incomplete")
        return [UUID(line) for line in lines]

    def _add(self, user_id: UUID) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            os.fchmod(file.fileno(), 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            lines = file.read()
            if str(user_id).encode() in lines.splitlines():
                return
            if lines and not lines.endswith(b"\n"):  # the machine stopped during an earlier write
                file.truncate(lines.rfind(b"\n") + 1)
            file.write(f"{user_id}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        self._sync_directory()

    def _sync_directory(self) -> None:
        """Sync the directory as well: it holds the entry of a new file."""
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
