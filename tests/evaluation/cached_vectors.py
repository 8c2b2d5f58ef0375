"""An embedder for the evaluation commands that caches vectors on disk, so that a repeated run embeds no text again."""

import hashlib
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from deploy.local.settings import LOCAL

VECTORS: Final = LOCAL / "vectors"
BATCH: Final = 64
"""The number of texts that are embedded and stored at a time. An interrupted run loses at most one batch."""

Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]


class AnyEmbedder(Protocol):
    """An embedder of short and of long texts."""

    provider: str
    model: str

    async def embed(self, texts: Sequence[str]) -> list[list[float]]: ...

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]: ...


class CachedVectors:
    """Another embedder with a cache in `.local/vectors/<model>.sqlite`. The key is the SHA-256 of method and text.

    Several processes may share the file. Each call prints its progress to stderr. Vectors are stored with 32 bits per
    number, so that the first run and later runs have equal figures.
    """

    def __init__(self, embedder: AnyEmbedder, folder: Path = VECTORS) -> None:
        self.provider = embedder.provider
        self.model = embedder.model
        self._embedder = embedder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{embedder.model}.sqlite"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return await self._cached("embed", texts, self._embedder.embed)

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        return await self._cached("embed_long", texts, self._embedder.embed_long)

    async def _cached(self, method: str, texts: Sequence[str], embed: Embed) -> list[list[float]]:
        keys = {text: hashlib.sha256(f"{method}\n{text}".encode()).hexdigest() for text in texts}
        with closing(sqlite3.connect(self._path, timeout=60, isolation_level=None)) as store:
            store.execute("CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID")
            found = {text: vector for text, key in keys.items() if (vector := _read(store, key)) is not None}
            missing = [text for text in keys if text not in found]
            for start in range(0, len(missing), BATCH):
                batch = missing[start : start + BATCH]
                made = np.asarray(await embed(batch), dtype=np.float32)
                rows = [(keys[text], vector.tobytes()) for text, vector in zip(batch, made, strict=True)]
                with store:
                    store.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
                found |= dict(zip(batch, made.tolist(), strict=True))
                _show(start + len(batch), len(missing))
        return [found[text] for text in texts]


def _read(store: sqlite3.Connection, key: str) -> list[float] | None:
    row = store.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
    return None if row is None else np.frombuffer(row[0], dtype=np.float32).tolist()


def _show(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} texts embedded" + ("\n" if done == total else ""))
    sys.stderr.flush()
