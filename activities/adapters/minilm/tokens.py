"""Split texts into word pieces as sentence-transformers does, without importing it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Integers: TypeAlias = NDArray[np.int64]


class Batch(NamedTuple):
    """The model's input: word pieces, padded to the longest text, and 1 for each piece that is no padding."""

    pieces: Integers
    mask: Integers


class MiniLMTokenizer:
    """The tokenizer in the model's folder."""

    def __init__(self, folder: Path) -> None:
        limit = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))["max_seq_length"]
        self._whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._whole.no_padding()
        self._whole.no_truncation()
        self._limited = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._limited.no_padding()
        self._limited.enable_truncation(limit)

    def words(self) -> frozenset[str]:
        """Return the frequent English words that are one word piece."""
        return frozenset(piece for piece in self._whole.get_vocab() if piece.isalpha())

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Return start and end of each word piece of the whole text."""
        return self._whole.encode(text, add_special_tokens=False).offsets

    def batch(self, texts: Sequence[str]) -> Batch:
        """Return the input for the texts. Each is cut to the length that the model reads."""
        # One text at a time: `encode_batch` starts a thread for each core.
        rows = [self._limited.encode(text).ids for text in texts]
        shape = len(rows), max(map(len, rows))
        batch = Batch(np.zeros(shape, np.int64), np.zeros(shape, np.int64))
        for place, row in enumerate(rows):
            batch.pieces[place, : len(row)] = row
            batch.mask[place, : len(row)] = 1
        return batch
