"""Who was erased: a list outside the database and its dumps, so that a restore does not bring anybody back."""

import asyncio
import fcntl
import os
from pathlib import Path
from uuid import UUID

from pydantic_settings import BaseSettings, SettingsConfigDict


class ErasureListSettings(BaseSettings):
    """`ERASURE_LIST`: a file that outlives workers and database, and that all workers of `assessments` share."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    erasure_list: Path = Path(".local/erasures")


class FileErasureList:
    """One id a line, each once; a line is on the disk before `add` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def add(self, user_id: UUID) -> None:
        await asyncio.to_thread(self._add, user_id)

    def read(self) -> list[UUID]:
        """Everybody on it, in the order of their erasure; nobody where there is no file."""
        if not self._path.exists():
            return []
        return [UUID(line) for line in self._path.read_text(encoding="ascii").splitlines()]

    def _add(self, user_id: UUID) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            os.fchmod(file.fileno(), 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            lines = file.read()
            if str(user_id).encode() in lines.splitlines():
                return
            if lines and not lines.endswith(b"\n"):  # a machine that stopped while it wrote
                file.truncate(lines.rfind(b"\n") + 1)
            file.write(f"{user_id}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        self._sync_directory()

    def _sync_directory(self) -> None:
        """The name of a new file is an entry of its directory."""
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
